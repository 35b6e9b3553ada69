"""A recorded typist, replayed against our server and against llama-server, side by side in one run.

    python -m benchmarks.keystrokes [--short] [--memory N] [--help]

``sources`` chooses real files, ``traces`` turns them into keystrokes, ``replay`` plays a trace to one of the
``peers``: ``language_server`` is fim-lsp over LSP, ``llama_server`` is llama-server as llama.vim drives it,
or with our own token layout. ``measures`` condenses what was seen, ``report`` writes it.

The peers take turns trace by trace, each beginning a round in turn, not event by event: a server that uses
the user's pauses for work of its own would do it while another one is measured.
"""
