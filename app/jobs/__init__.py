"""Training in the background: the queue, and where its jobs run."""
