"""Hooks of mkdocs: pages of the repository's root become pages of the site.

Links stay right in both places: a page of docs links to `../WORKSPACE.md`, a page of the root to
`docs/serving.md`, and the site gets `workspace.md` and `serving.md`.
"""

import pathlib
import re
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = pathlib.Path(__file__).parents[1]
# File of the root -> page of the site. README's place is taken by docs/index.md.
PAGES = {
    "README.md": "index.md",
    "RESULTS.md": "all_results.md",
    "WORKSPACE.md": "workspace.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
IMAGES = "benchmarks/results"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the root, and the drawings that they show."""
    for source, page in PAGES.items():
        if files.get_file_from_path(page) is None:
            files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    for path in sorted((ROOT / IMAGES).rglob("*.svg")):
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return the text of a page with its links to root and docs made links of the site.

    >>> on_page_markdown("[map](../WORKSPACE.md#rooms), [rank](docs/serving.md)")
    '[map](workspace.md#rooms), [rank](serving.md)'
    """
    for source, page in PAGES.items():
        markdown = re.sub(rf"\]\((?:\.\./)?{re.escape(source)}(?=[#)])", f"]({page}", markdown)
    return re.sub(r"\]\(docs/(?=\w+\.md[#)])", "](", markdown)
