"""Who has a key, and for what."""
