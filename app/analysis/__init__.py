"""From what a run has read to the replies about its heads."""
