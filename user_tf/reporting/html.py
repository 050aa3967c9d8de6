"""A document as one HTML page that needs nothing beside it."""

import html
from collections.abc import Sequence

from data_pipeline.description.html_page import figure, page
from user_tf.reporting.document import Cell, Document, Figure, Section, Table

STYLE = """
thead th { white-space: normal; min-width: 3.2rem; }
th.part { color: #57606a; font-style: italic; padding-top: 0.8rem; }
td small { display: block; margin: 0; }
"""


def to_html(document: Document) -> str:
    """The document as a page.

    Example:
        >>> "<h1>A &amp; B</h1>" in to_html(Document("A & B", [], [], ""))
        True
    """
    body = [f"<h1>{html.escape(document.title)}</h1>", *_paragraphs(document.paragraphs)]
    body += [line for section in document.sections for line in _section(section)]
    body.append(f"<footer>{html.escape(document.origin)}</footer>")
    return page(document.title, "\n".join(body), STYLE)


def _section(section: Section) -> list[str]:
    lines = [f"<h2>{html.escape(section.heading)}</h2>", *_paragraphs(section.paragraphs)]
    for part in section.parts:
        if isinstance(part, Figure):
            lines.append(figure(part.caption, part.svg, "\n".join(_table(part.table))))
        else:
            lines += _table(part)
    return lines


def _paragraphs(texts: Sequence[str]) -> list[str]:
    return [f"<p>{html.escape(text)}</p>" for text in texts]


def _table(table: Table) -> list[str]:
    lines = ['<div class="wide"><table>']
    if table.caption:
        lines.append(f"<caption>{html.escape(table.caption)}</caption>")
    heads = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in table.columns)
    lines.append(f"<thead><tr>{heads}</tr></thead><tbody>")
    for row in table.rows:
        if len(row) == 1:
            part = f'<th class="part" colspan="{len(table.columns)}" scope="rowgroup">'
            lines.append(f"<tr>{part}{html.escape(row[0].text)}</th></tr>")
        else:
            name, *cells = row
            rest = "".join(f"<td>{_cell(cell)}</td>" for cell in cells)
            lines.append(f'<tr><th scope="row">{_cell(name)}</th>{rest}</tr>')
    return [*lines, "</tbody></table></div>"]


def _cell(cell: Cell) -> str:
    text = html.escape(cell.text)
    text = f"<b>{text}</b>" if cell.best else text
    return text + (f"<small>{html.escape(cell.note)}</small>" if cell.note else "")
