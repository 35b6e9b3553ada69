"""Local code completion over LSP: a fill-in-the-middle prompt, an in-process model, ghost text."""

__version__ = "0.1.0"
