"""Follow the getting-started page on a machine like new."""
