"""What to offer, and when."""
