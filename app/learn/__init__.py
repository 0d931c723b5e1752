"""What the lessons' figures show, as replies."""
