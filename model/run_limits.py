"""How large the files of a run may be: more than any needs, and little enough to be held."""

MOST_CONFIG_BYTES = 1 << 20
MOST_VOCABULARY_BYTES = 32 << 20  # of a tokenizer as JSON; GPT-2's has three megabytes
MOST_HISTORY_BYTES = 64 << 20  # of all that was noted of a run, and so of its samples
MOST_HISTORY_LINES = 200_000
MOST_COUNTS_BYTES = 1 << 30  # of an n-gram model, whose configuration does not tell how many
