"""Pages: a frozen dataclass of texts and numbers goes into a template that only prints it.

A page is one HTML file that needs no network.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from otoscope.errors import ParameterError
from otoscope.records import versions, write_text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from otoscope.report.methods.bibliography import Methods

__all__ = [
    "Fact",
    "content_of",
    "in_script",
    "render",
    "save_page",
    "share_assets",
    "version_facts",
]


@dataclass(frozen=True)
class Fact:
    """A setting or a measure of a page, with a note on its meaning (empty if obvious)."""

    name: str
    value: str
    note: str = ""


def version_facts(of: Mapping[str, str] | None = None) -> list[Fact]:
    """Return a fact for each version, by default those of this process."""
    found = versions() if of is None else of
    return [Fact(f"Version of {name}", version) for name, version in found.items()]


def content_of(page: DataclassInstance) -> dict[str, Any]:
    """Return the fields of a page by name, for a template."""
    return {field.name: getattr(page, field.name) for field in fields(page)}


def save_page(
    page: DataclassInstance,
    template: str,
    path: str | os.PathLike[str],
    *,
    package: str = "otoscope.report",
    methods: Methods | None = None,
) -> None:
    """Write a page, whole or not at all; the template is one of the package's.

    The page ends with ``methods``: how its result was obtained.
    """
    content = {**content_of(page), "methods": methods}
    write_text(Path(path), render(template, content, package=package))


def render(template: str, content: dict[str, Any], *, package: str = "otoscope.report") -> str:
    """Fill a template in: text is escaped, and a missing name is an error."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("otoscope.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(content)


def in_script(json: str) -> Markup:
    """Make JSON safe inside a script element: no </script> in it ends it."""
    return Markup(json.replace("<", r"\u003c"))


_STYLE = re.compile(r"<style>\n(.*?)</style>", re.DOTALL)
_SCRIPT = re.compile(r"<script>\n(.*?)</script>", re.DOTALL)  # the one without attributes


def share_assets(paths: Sequence[Path]) -> None:
    """Replace the style and the script in the pages of one folder by links to one copy of each.

    ``style.css`` and ``page.js`` are written beside the pages, which then need these files. A
    folder of pages under version control does not repeat them in every page.
    """
    texts = {path: path.read_text("utf-8") for path in paths}
    assets = {(_STYLE.findall(text)[0], _SCRIPT.findall(text)[-1]) for text in texts.values()}
    if len(assets) != 1 or len({path.parent for path in paths}) != 1:
        raise ParameterError("the pages differ in style or script, or lie in several folders")
    ((style, script),) = assets
    folder = next(iter(texts)).parent
    for name, asset in (("style.css", style), ("page.js", script)):
        write_text(folder / name, asset)
    for path, text in texts.items():
        text = text.replace(f"<style>\n{style}</style>", '<link rel="stylesheet" href="style.css">')
        text = text.replace(f"<script>\n{script}</script>", '<script src="page.js"></script>')
        text = text.replace("style-src ", "style-src 'self' file: ")
        text = text.replace("script-src ", "script-src 'self' file: ")
        write_text(path, text)
