"""Replay recorded typing against fim-lsp and against llama-server, side by side in one run.

    python -m benchmarks.keystrokes [--short] [--memory N] [--help]

``sources`` chooses real files, ``traces`` turns them into keystrokes, ``replay`` replays a trace to one of
the ``peers``: ``language_server`` is fim-lsp over LSP, ``llama_server`` is llama-server as llama.vim uses it,
or with fim-lsp's token layout. ``measures`` computes the figures, ``report`` writes them.

The peers take turns after each trace, not after each event, because a server may work in the user's pauses,
and would do so while another one is measured. Each round begins with another peer.
"""
