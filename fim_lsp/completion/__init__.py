"""Decide what to show at a cursor, and when: the pipeline from a request to an answer."""
