"""Train a fill-in-the-middle model on your own code: ``python -m training``. Needs ``fim-lsp[training]``."""
