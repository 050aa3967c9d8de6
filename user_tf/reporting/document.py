"""A report as data: sections of tables and figures, and its Markdown."""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: Its text.
        note: A second, smaller line.
        best: Whether it is printed in bold.
    """

    text: str
    note: str = ""
    best: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A table; a row of a single cell is a heading over the rows below it.

    Attributes:
        caption: Description of the rows, and the number of queries.
        columns: Headings; the first is that of the rows' names.
        rows: Cells, as many as there are columns.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclasses.dataclass(frozen=True)
class Figure:
    """A drawing and its numbers, which replace it in plain text.

    Attributes:
        caption: Description of the drawing.
        svg: An `<svg>` element.
        table: Its numbers.
    """

    caption: str
    svg: str
    table: Table


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading, paragraphs, then tables and figures."""

    heading: str
    paragraphs: Sequence[str]
    parts: Sequence[Table | Figure]


@dataclasses.dataclass(frozen=True)
class Document:
    """A report: title, opening paragraphs, sections, and the origin of its numbers."""

    title: str
    paragraphs: Sequence[str]
    sections: Sequence[Section]
    origin: str


def to_markdown(document: Document) -> str:
    """Write the document in GitHub's Markdown; a figure is its table of numbers.

    Example:
        >>> table = Table("Queries", ["", "MAP"], [[Cell("HRNN"), Cell(".5", "+1 %", best=True)]])
        >>> text = to_markdown(Document("Title", [], [Section("Table 2", [], [table])], "origin"))
        >>> print(text.splitlines()[-3])
        | HRNN | **.5** <br> +1 % |
    """
    lines = [f"# {document.title}", ""]
    lines += [line for text in document.paragraphs for line in (text, "")]
    for section in document.sections:
        lines += [f"## {section.heading}", ""]
        lines += [line for text in section.paragraphs for line in (text, "")]
        for part in section.parts:
            if isinstance(part, Figure):
                lines += [part.caption, ""]
                part = part.table
            lines += [*to_lines(part), ""]
    return "\n".join([*lines, document.origin]) + "\n"


def to_lines(table: Table, align: str = "---:") -> list[str]:
    """Write a table in GitHub's Markdown, its caption first.

    Args:
        table: The table.
        align: How its columns but the first are aligned, in Markdown: by default to the right, as
            numbers are.
    """
    lines = [table.caption, ""] if table.caption else []
    lines.append(_row(table.columns))
    lines.append("|---|" + f"{align}|" * (len(table.columns) - 1))
    for row in table.rows:
        if len(row) == 1:
            lines.append(_row([f"*{row[0].text}*"] + [""] * (len(table.columns) - 1)))
        else:
            lines.append(_row([_cell(cell) for cell in row]))
    return lines


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _cell(cell: Cell) -> str:
    text = f"**{cell.text}**" if cell.best else cell.text
    return f"{text} <br> {cell.note}" if cell.note else text
