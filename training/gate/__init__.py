"""The gate of the repository memory: fitted on held-out code, checked by leaving each repository out."""
