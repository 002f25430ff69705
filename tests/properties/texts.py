"""Texts that something could take for more than a text."""

from hypothesis import strategies as st

PIECES = (
    # special tokens, in whole and in pieces
    *(
        "<|im_start|>",
        "<|im_end|>",
        "<|endoftext|>",
        "<|im_",
        "im_end|>",
        "<bos>",
        "<turn>",
        "<end>",
    ),
    *("<|", "|>", "</s>", "[INST]", "<think>", "</think>", "user\n", "\n\nassistant\n", "system"),
    # templates, patterns of this code and of DVC
    *(
        "{{ 7 * 7 }}",
        "{% raw %}",
        "{#",
        "{statement}",
        "{",
        "}",
        "Jx1sQvKe",
        "Jx2uQvKe",
        "Jx3aQvKe",
    ),
    *("${", "${model.source}", "$", "%s", "\\", "\\\\", "\\n", "\\u0041", "&lt;", "`", "**", "<b>"),
    # YAML, CSV and Hydra
    *(": ", " #", "- ", "? ", "|", ">", "!", "&a", "*a", "@", "null", "~", "yes", "1e5", "0x1"),
    *('"', "'", '""', ",", ";", "\t", "=", "[", "]", "(", ")", "+", "--", "..."),
    # white space and what cannot be seen
    *(" ", "  ", "\n", "\r\n", "\r", "\u00a0", "\u2028", "\u2029", "\u0085", "\u200b", "\u202e"),
    *("\ufeff", "\u00ad", "\u0301", "\x00", "\x1b[31m", "\x7f"),
    # letters
    *(
        "true",
        "false",
        "T",
        "é",
        "e\u0301",
        "ß",
        "ſ",
        "ﬁ",
        "日本",
        "👩\u200d💻",
        "\U0001f1e6",
        "\ud83d",
    ),
    *("Rome is in Italy.", "The", "Ġ", "▁", "A", "İ", "\u1e9e", "٣", "Ⅷ", "½"),
)
ANY = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=6).map("".join),
    st.text(st.characters(codec=None), max_size=12),
    st.tuples(st.sampled_from(PIECES), st.text(max_size=6), st.sampled_from(PIECES)).map("".join),
)
"""Any text, half a character too."""


def require_line(error: Exception, start: str = "") -> None:
    """A refusal is one line of some length that names the place."""
    line = str(error)
    assert line.startswith(start), line
    assert "\n" not in line
    assert len(line) < 2000
