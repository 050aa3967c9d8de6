"""The rule that makes words from texts: its version, and its patterns.

A word is a run of letters, marks and digits, with at most two signs `+` or `#` at its end (c++, c#).
A character of a script without spaces is a word of its own, with the marks that follow it. All other
characters are separators. Words by script:

* Latin, Cyrillic, Greek, Arabic, Hebrew, the scripts of India: words with their accents and vowel
  signs, in lower case. A zero-width joiner or non-joiner is a separator.
* Chinese, Japanese, Thai, Lao, Khmer, Burmese: single characters, also inside a word of another
  script ("東京hotel" is 東, 京, hotel). Vowel signs and tone marks that combine stay with their
  character; digits of these scripts are characters as any. The sign of a long vowel (ー) is a letter
  without a script: it stays with the text that follows, as a word of its own before a character.
* Korean: text between spaces, including particles.
* Emoji, symbols and punctuation are separators; the digit of a keycap stays.

Texts are normalized first (`data_pipeline.text.normal_form`): "&eacute;" is é, and "Ａ" of full
width is "a".
"""

TEXT_RULE = 2
"""Version of the rule and of the normal form. A manifest has it: a dataset of another version has
other words than the graph would make."""

WITHOUT_SPACES = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_MARKS = r"\p{Mn}\p{Mc}"
_WORD = r"\p{L}\p{N}" + _MARKS

SIGNS = r"(?s).*[+#].*"
"""Texts to which `SIGN_REWRITES` apply."""

# Variation selectors are marks that only select how an emoji is drawn.
FIRST_REWRITES = (
    (r"[\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}]+", ""),
    (rf"([{WITHOUT_SPACES}][{_MARKS}]*)", r" \1 "),
)
"""Patterns and replacements, in the order of their use."""

# RE2 cannot look ahead: signs that are at no word's end are removed, from either side.
SIGN_REWRITES = (
    (r"[+#]{3,}", " "),
    (rf"[+#]+([{_WORD}])", r" \1"),
    (rf"(^|[^{_WORD}+#])[+#]+", r"\1 "),
)
LAST_REWRITES = ((rf"[^{_WORD}+#]+", " "),)
