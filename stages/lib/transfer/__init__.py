"""Probes of several kinds, and what they read where they were not fitted."""
