"""A report as one HTML page that needs no other file."""

from data_pipeline.common.html_page import render
from user_tf.reporting.document import Document


def to_html(document: Document) -> str:
    """Return the document as a page.

    Example:
        >>> "<h1>A &amp; B</h1>" in to_html(Document("A & B", [], [], ""))
        True
    """
    return render(
        "user_tf.reporting",
        "report.html.jinja",
        title=document.title,
        paragraphs=document.paragraphs,
        sections=document.sections,
        footer=document.origin,
    )
