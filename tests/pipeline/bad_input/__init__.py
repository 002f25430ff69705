"""The table of bad inputs: what a user brings, the stage that meets it first, and its one line.

One module per kind of input, each with a list `CASES`; `tests/pipeline/test_bad_input_table.py`
runs them all.
"""
