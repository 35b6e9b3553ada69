"""``fim-lsp serve``: the loaded model for clients that speak HTTP, under the protocols that they know."""
