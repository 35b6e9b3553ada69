"""Write GGUF files of a trained adapter, and compare them with what was trained."""
