"""The language server. No other package imports pygls or lsprotocol."""
