"""JSON documents with kind and schema version: "format": "otoscope.Explanation/2"."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from otoscope.errors import ParameterError
from otoscope.records import to_plain

__all__ = ["document", "read_document", "require_fields"]


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
        content = json.loads(source) if isinstance(source, str | bytes) else source
    except ValueError:
        content = None
    actual_kind, _, written = str(
        content.get("format") if isinstance(content, dict) else ""
    ).partition("/")
    if not isinstance(content, dict) or actual_kind != kind or not written.isdecimal():
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
