"""Engines: a loaded model that generates text, the thread it runs on, and the bookkeeping of its KV cache."""
