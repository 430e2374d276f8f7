"""otoscope models: the models that can be loaded by name."""

from __future__ import annotations

from rich.table import Table

from otoscope.cli.options import Json
from otoscope.cli.output import console, is_printed, require_writable, write_json

__all__ = ["models"]

_KEYS = ("name", "what", "package", "version", "licence", "size_mb", "install", "is_installed")


def models(json_path: Json = None) -> None:
    """List the models that can be loaded by name.

    Example: otoscope models
    """
    require_writable(json_path)
    from otoscope.models import describe

    entries = describe()
    write_json([{key: getattr(entry, key) for key in _KEYS} for entry in entries], json_path)
    if is_printed(json_path):
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "outputs", "licence", "size", "installed"):
        table.add_column(heading)
    for entry in entries:
        installed = "yes" if entry.is_installed else f"no: {entry.install}"
        size = f"{entry.size_mb:g} MB"
        table.add_row(entry.name, entry.what, entry.licence, size, installed)
    console().print(table, soft_wrap=False)
