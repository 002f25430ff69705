"""A model as it lies on disk: its files, their hashes, and the one place that loads them."""
