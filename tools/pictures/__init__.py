"""Draw the pictures of the pages from real editors."""
