"""JSON documents with kind and schema version: "format": "otoscope.Explanation/2"."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from types import UnionType
from typing import Any

from otoscope.errors import ParameterError
from otoscope.foreign import parse_json
from otoscope.records import to_plain

__all__ = ["document", "read_document", "require_fields", "require_types"]

_SHOWN = 60  # characters of a value in a message


def document(kind: str, version: int, content: object) -> dict[str, Any]:
    """Convert an object to a JSON document that carries its kind and schema version."""
    return {"format": f"{kind}/{version}", **to_plain(content)}


def read_document(
    source: object, kind: str, version: int, *, name: str, required: Collection[str] = ()
) -> tuple[dict[str, Any], int]:
    """Read a document of this or an older schema version; return its content and its version.

    ``source`` is JSON text or the parsed value; ``name`` is used in messages, for example
    "explanation".
    """
    try:
        content: object = source
        if isinstance(source, str | bytes):
            content = parse_json(source, name=f"the {name}")
    except ParameterError as err:
        raise ParameterError(f"{err}; its format must be {kind}/{version}") from err
    actual_kind, _, written = str(
        content.get("format") if isinstance(content, dict) else ""
    ).partition("/")
    if (
        not isinstance(content, dict)
        or actual_kind != kind
        or not re.fullmatch("[0-9]{1,9}", written)
    ):
        article = "an" if name[0] in "aeiou" else "a"
        raise ParameterError(
            f"the text is not {article} {name}; its format must be {kind}/{version}"
        )
    if int(written) > version:
        raise ParameterError(
            f"the {name} has format {kind}/{written}, this otoscope reads up to {kind}/{version}; "
            "update otoscope"
        )
    require_fields(content, required, f"the {name}")
    return {field: value for field, value in content.items() if field != "format"}, int(written)


def require_fields(content: object, required: Collection[str], owner: str) -> None:
    """Refuse an object of a document that lacks fields, and list them."""
    present = set(content) if isinstance(content, Mapping) else set()
    if missing := sorted(set(required) - present):
        raise ParameterError(
            f"{owner} lacks {', '.join(missing)}; the document is damaged or was changed by hand"
        )


def require_types(
    content: object, types: Mapping[str, type | UnionType], owner: str
) -> dict[str, Any]:
    """Refuse a value that is no object, lacks a field, or has one of another type; return it.

    A bool is no number, an int is a float too, and a float is finite.
    """
    if not isinstance(content, dict):
        raise ParameterError(f"{owner} is {_shown(content)}, needs an object")
    require_fields(content, types, owner)
    for name, needed in types.items():
        kinds = needed.__args__ if isinstance(needed, UnionType) else (needed,)
        value = content[name]
        fits = type(value) in kinds or (type(value) is int and float in kinds)
        if not fits or (isinstance(value, float) and not math.isfinite(value)):
            expected = " or ".join(kind.__name__.replace("NoneType", "null") for kind in kinds)
            raise ParameterError(f"{owner} has {name} {_shown(value)}, needs {expected}")
    return content


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
