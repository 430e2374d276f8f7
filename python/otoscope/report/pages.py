"""Pages: a frozen dataclass of texts and numbers goes into a template that only prints it.

A page is one HTML file that needs no network.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from otoscope.records import replacing

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Fact", "in_script", "render", "save_page"]


@dataclass(frozen=True)
class Fact:
    """A setting or a measure of a page, with a note on its meaning (empty if obvious)."""

    name: str
    value: str
    note: str = ""


def save_page(
    page: DataclassInstance,
    template: str,
    path: str | os.PathLike[str],
    *,
    package: str = "otoscope.report",
) -> None:
    """Write a page, whole or not at all; the template is one of the package's."""
    content = {field.name: getattr(page, field.name) for field in fields(page)}
    with replacing(Path(path)) as draft:
        draft.write_text(render(template, content, package=package), "utf-8")


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
