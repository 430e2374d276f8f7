"""Templates, filled in: text is escaped, a name that is missing is an error."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from otoscope.report._phrases import decimals, number

__all__ = ["in_script", "render"]


def render(template: str, content: dict[str, Any]) -> str:
    """Write a page."""
    environment = Environment(
        loader=PackageLoader("otoscope.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["decimals"] = decimals
    return environment.get_template(template).render(content)


def in_script(json: str) -> Markup:
    """Make JSON safe inside a script element: no </script> in it ends it."""
    return Markup(json.replace("<", r"\u003c"))
