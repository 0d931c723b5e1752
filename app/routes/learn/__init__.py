"""`/api/learn/…`: what the lessons' figures show."""
