"""One HTML page that needs nothing beside it."""

import html
from collections.abc import Sequence

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2328; background: #fff; margin: 0 auto;
  max-width: 78rem; padding: 1.5rem; }
h1 { font-size: 1.6rem; line-height: 1.25; }
h2 { font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 1px solid #d0d7de; }
p, li { max-width: 60rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; font-variant-numeric: tabular-nums; }
caption, figcaption { text-align: left; margin-bottom: 0.4rem; color: #57606a; }
th, td { padding: 0.3rem 0.6rem; text-align: right; white-space: nowrap; vertical-align: top; }
th:first-child { text-align: left; font-weight: normal; }
thead th { border-bottom: 2px solid #57606a; vertical-align: bottom; }
tbody tr { border-bottom: 1px solid #eaeef2; }
small { color: #57606a; margin-left: 0.4rem; }
pre { overflow-wrap: anywhere; white-space: pre-wrap; }
figure { margin: 0.5rem 0 1.5rem; }
svg { max-width: 100%; height: auto; }
footer { margin-top: 3rem; color: #57606a; font-size: 0.85rem; overflow-wrap: anywhere; }
"""


def page(title: str, body: str, style: str = "") -> str:
    """A whole page around `body`, which is HTML already; `style` comes after `STYLE`."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """A table of texts.

    Args:
        columns: Headings; the first is that of the rows' names.
        rows: Cells, as many as there are columns.
        notes: A remark behind the name of each row. Default: none.

    Example:
        >>> "<td>1</td>" in table(["", "a < b"], [["row", "1"]])
        True
    """
    heads = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in columns)
    lines = [f'<div class="wide"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>']
    for place, (name, *cells) in enumerate(rows):
        note = f"<small>{html.escape(notes[place])}</small>" if notes and notes[place] else ""
        rest = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        lines.append(f'<tr><th scope="row">{html.escape(name)}{note}</th>{rest}</tr>')
    return "\n".join([*lines, "</tbody></table></div>"])


def figure(caption: str, svg: str, numbers: str) -> str:
    """A drawing, and under it, folded, the table of what it shows."""
    return (
        f'<figure><figcaption>{html.escape(caption)}</figcaption>\n<div class="wide">{svg}</div>\n'
        f"<details><summary>Numbers</summary>\n{numbers}\n</details></figure>"
    )
