"""What can be asked of a server, each call once, by subject."""
