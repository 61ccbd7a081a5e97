"""How the pages become a site: `python3 dev.py site`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sphinx.ext.napoleon import GoogleDocstring

from deskstore import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "deskstore"
version = release = __version__
copyright = "deskstore contributors"  # noqa: A001 - Sphinx's own name for it

# pages link to the README and the changelog as they do in the repository, so that is where the site begins
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**"]
exclude_patterns = [".*", "build", "bench", "data", "examples", "src", "tests"]

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_heading_anchors = 3
suppress_warnings = ["misc.highlighting_failure"]  # a block whose language is not known to the last word is shown all the same
default_role = "literal"  # a word between backticks is code, as on every page
autodoc_member_order = "groupwise"
autodoc_class_signature = "separated"

html_theme = "furo"
html_title = f"deskstore {version}"


def setup(app: Sphinx) -> None:
    """Read the sections of docstrings."""
    app.connect("autodoc-process-docstring", _read_sections)


def _read_sections(_app: Sphinx, what: str, _name: str, _documented: object, _options: object, lines: list[str]) -> None:
    if what != "attribute":  # Napoleon would take what stands before a colon there for a type
        lines[:] = GoogleDocstring(lines).lines()
