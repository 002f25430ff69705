"""Other tools' ways to cache z and to patch it, for comparison."""
