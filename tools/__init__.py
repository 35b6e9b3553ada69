"""Programs for developers of fim-lsp. The server and the training need none of them."""
