"""What the server says of itself: a line per event, each with the request that it belongs to."""
