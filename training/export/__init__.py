"""Write a trained adapter as GGUF files, and check that they compute what was trained."""
