"""Small language models: networks, training, decoding, attention, and the folder they live in."""
