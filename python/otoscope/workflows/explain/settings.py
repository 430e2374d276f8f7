"""Settings that the records of a file share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.explain.design import DEFAULT_DESIGN
from otoscope.workflows.explain.config import ExplainConfig
from otoscope.workflows.explain.rows import check_comparison, check_record

__all__ = ["check_settings", "settings_of"]


def check_settings(
    path: Path, configs: Sequence[ExplainConfig], *, is_comparison: bool = False
) -> None:
    """Refuse a file whose records have other settings, or are no comparison's and should be."""
    variants: dict[Any, dict[str, Any]] = {
        (config.model, config.content): settings_of(config) for config in configs
    }
    first = next(iter(variants.values()))
    for record in records.stream(path):
        stored, compared = record.get("settings"), record.get("comparison")
        pair = (stored.get("model"), stored.get("content")) if isinstance(stored, dict) else None
        differences = _differences(stored, variants.get(pair, first) if pair else first)
        if (compared is not None) != is_comparison:
            other = "single explanations" if is_comparison else "a comparison"
            differences = differences or f"of {other}"
        if differences:
            raise ParameterError(
                f"{path} holds rows of other settings ({differences}); "
                "name another file, or delete it"
            )
        check_record(record, path)
        if is_comparison:
            check_comparison(record, path)


def settings_of(config: ExplainConfig) -> dict[str, Any]:
    """Return the settings that all records of a file must share, as read from JSON."""
    shared = {name: value for name, value in asdict(config).items() if name != "sounds"}
    plain: dict[str, Any] = records.to_plain(shared)
    return _with_default(plain)


def _with_default(settings: dict[str, Any]) -> dict[str, Any]:
    """Write the default design by its name, as older records do."""
    return settings | {"design": settings.get("design") or DEFAULT_DESIGN}


def _differences(stored: Any, settings: dict[str, Any]) -> str:
    if not isinstance(stored, dict):
        return "none are recorded"
    # Records of an older version lack a setting: there it had the value that is its default now.
    defaults = {f.name: f.default for f in fields(ExplainConfig) if f.name in settings}
    stored = _with_default(defaults | stored)
    names = [name for name in {**settings, **stored} if stored.get(name) != settings.get(name)]
    return ", ".join(f"{name} {stored.get(name)}, not {settings.get(name)}" for name in names)
