"""A user's own files of labelled statements: which ones, and how each form is read."""
