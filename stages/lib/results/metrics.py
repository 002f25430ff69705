"""Metrics files; a node's `metrics.py` declares their content as frozen dataclasses."""

from stages.lib.io.records import read as read
from stages.lib.io.records import write as write
