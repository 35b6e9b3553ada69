"""Load on ``fim-lsp serve``: many clients that type at once, and requests that are aborted.

    python -m benchmarks.serving                 # 32 clients for five minutes, on loopback
    python -m benchmarks.serving --aborts 10000  # requests whose connection closes early
    python -m benchmarks.serving --beside --model PATH  # llama.vim here, and llama.vim on llama-server

Each client types into a file of its own at a typist's pace, sends a request a key, and closes the connection
of the one before, as editors do. A refusal with 429 is counted and not repeated.
"""
