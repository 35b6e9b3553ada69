"""Measure models on servers: the same text as in process, and how many editors one server carries."""
