"""Measure what a user meets: suggestions in real repositories, through the running server.

    python -m benchmarks.quality --holes 500 --arms model memory

Holes are cut at cursor positions of repositories that the model never saw. Each arm is a set of the server's
settings, or llama-server behind llama.vim's logic. All arms fill the same holes, so that differences are
paired.
"""
