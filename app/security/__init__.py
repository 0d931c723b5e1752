"""Who gets in and with what: each file is one check, and `protection` puts all around the app."""
