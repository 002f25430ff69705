"""The schemas of params.yaml, one module a section: what each setting is, and its range.

They are apart from the code that uses them so that stage `check` reads all of them in a moment,
and each stage depends on its own alone.
"""
