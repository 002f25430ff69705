"""A model on disk: its files, their hashes, and the only code that loads them."""
