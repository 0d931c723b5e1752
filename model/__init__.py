"""Small language models: their networks, training, decoding, attention, and the folder they live in."""
