"""Other people's models in, and ours out."""
