"""HTML pages from Jinja templates; a page needs no other file and loads nothing.

A package keeps its templates in its folder `templates`. They extend `page.html.jinja` (head, style
for light and dark, heading, footer) and use the tables and figures of `parts.html.jinja`, which are
both here.
"""

from typing import Any

import jinja2

from data_pipeline.common.matplotlib_svg import DARK_MODE


def page_environment(package: str) -> jinja2.Environment:
    """Return the templates of a package and the shared ones; texts are escaped.

    Args:
        package: Dotted name of the package with a folder `templates`.
    """
    loaders = [jinja2.PackageLoader(name) for name in dict.fromkeys((package, __package__))]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["dark_mode"] = DARK_MODE
    return environment


def render(package: str, template: str, **values: Any) -> str:
    """Render a template of a package.

    Args:
        package: Dotted name of the package that holds the template.
        template: File in the package's folder `templates`.
        values: Variables of the template; a missing one is an error. A page needs `title` and
            `footer`.

    Example:
        >>> page = render("data_pipeline.common", "page.html.jinja", title="a < b", footer="")
        >>> "<title>a &lt; b</title>" in page
        True
    """
    return page_environment(package).get_template(template).render(values)
