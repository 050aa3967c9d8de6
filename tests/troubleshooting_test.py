"""The page of errors quotes texts that the program has."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
QUOTES = re.findall(r"^> (.+)$", PAGE, re.MULTILINE)


def joined(node):
    """Return the text of a string in the source, with `…` for each value put in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
        )
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@pytest.fixture(name="texts", scope="module")
def _texts():
    """Return every string of the two packages, values left out."""
    sources = [*(ROOT / "data_pipeline").rglob("*.py"), *(ROOT / "user_tf").rglob("*.py")]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sources]
    return [joined(node) for tree in trees for node in ast.walk(tree)]


@pytest.mark.parametrize("quote", QUOTES)
def test_a_quoted_error_is_one_of_the_program(texts, quote):
    parts = [re.escape(part.strip()) for part in quote.split("…")]
    pattern = re.compile(r"\W*…?\W*.*?".join(parts), re.DOTALL)
    assert any(" must " in text and pattern.search(text) for text in texts)


def test_the_page_quotes_the_errors_of_every_part():
    assert len(QUOTES) >= 15 and len(QUOTES) == len(set(QUOTES))
