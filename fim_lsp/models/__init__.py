"""GGUF files: which there are, where they come from, whether they can be trusted."""
