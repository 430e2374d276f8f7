"""Models in the package: their files, and their cards without the networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.foreign import parse_json

__all__ = ["SHIPPED", "shipped_card"]

SHIPPED: Final = Path(__file__).parent / "bundles"
"""Folder of the models in the package."""


def shipped_card(name: str = "folkrnn-small") -> dict[str, Any]:
    """Read the card of a model in the package; torch, which takes a second to load, is not needed.

    Raises
    ------
    ParameterError
        If the installation lacks the model.

    Examples
    --------
    >>> shipped_card()["licence"]
    'Apache-2.0 (weights)'
    """
    path = SHIPPED / f"{name}.json"
    if not path.is_file():
        raise ParameterError(
            f"{name} does not come with this installation",
            advice=Advice("give tunes to compare with by ", Argument("against")),
        )
    card: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"), name=path)["card"]
    return card
