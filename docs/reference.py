"""Write the reference: a page for each public module, with an entry for each public name.

A module is public if it is a package's ``__init__`` or stands in a package's ``__all__``; a name is
public if it stands in the ``__all__`` of a public module. A name that several modules export has
its entry on the page of the deepest module; the other pages link to the entry. (One page per name
takes Sphinx minutes, because every page repeats the tree of all pages.)
"""

from __future__ import annotations

import inspect
import pkgutil
import shutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

import otoscope

__all__ = ["home", "names", "pages", "public_modules", "write_reference"]

# scikit-learn puts these into every estimator, with links into its own pages.
_NOT_OURS = "set_fit_request, set_score_request"


def public_modules() -> dict[str, ModuleType]:
    """Find the public modules by name, in order."""
    modules = {"otoscope": otoscope}
    for module in pkgutil.walk_packages(otoscope.__path__, "otoscope."):
        private = any(part.startswith("_") for part in module.name.split("."))
        if module.ispkg and not private and not module.name.startswith("otoscope.cli"):
            modules[module.name] = import_module(module.name)
    exported: dict[str, ModuleType] = {}
    for module in list(modules.values()):
        for name in names(module):
            value = getattr(module, name)
            if isinstance(value, ModuleType) and not value.__name__.startswith("otoscope.cli"):
                exported[value.__name__] = value
    return {
        name: module
        for name, module in sorted({**modules, **exported}.items())
        if names(module) or name in exported
    }


def names(module: ModuleType) -> list[str]:
    """List the public names of a module."""
    return sorted(getattr(module, "__all__", ()))


def home(modules: Mapping[str, ModuleType]) -> dict[str, str]:
    """Map each public name ("otoscope.SoundLIME") to the name that has the entry."""
    places: dict[int, list[str]] = {}
    for module_name, module in modules.items():
        for name in names(module):
            value = getattr(module, name)
            if not isinstance(value, ModuleType):
                key = id(value) if inspect.isclass(value) or inspect.isroutine(value) else None
                full = f"{module_name}.{name}"
                places.setdefault(key if key is not None else hash(full), []).append(full)
    return {
        full: max(same, key=lambda name: (name.count("."), name))
        for same in places.values()
        for full in same
    }


def pages() -> dict[str, str]:
    """Write the page of every public module, by file name without suffix."""
    modules = public_modules()
    homes = home(modules)
    return {name: _module_page(name, module, homes) for name, module in modules.items()}


def write_reference(folder: Path) -> None:
    """Write all pages into a folder, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, page in pages().items():
        (folder / f"{name}.rst").write_text(page, encoding="utf-8")


def _module_page(module_name: str, module: ModuleType, homes: Mapping[str, str]) -> str:
    rows, entries = [], []
    for name in names(module):
        value, full = getattr(module, name), f"{module_name}.{name}"
        if isinstance(value, ModuleType):
            rows.append((f":doc:`{name} <{value.__name__}>`", _first_line(value)))
        else:
            rows.append((f":py:obj:`{name} <{homes[full]}>`", _first_line(value)))
            entries.extend([_entry(full, value)] if homes[full] == full else [])
    table = "".join(f"   * - {name}\n     - {line}\n" for name, line in rows)
    page = f"{_title(module_name)}.. automodule:: {module_name}\n   :no-members:\n\n"
    if table:
        page += f".. list-table::\n   :widths: 30 70\n\n{table}\n"
    return page + "\n".join(entries)


def _entry(full: str, value: object) -> str:
    kind = "class" if inspect.isclass(value) else "function" if callable(value) else "data"
    options = f"   :members:\n   :exclude-members: {_NOT_OURS}\n" if kind == "class" else ""
    return f".. auto{kind}:: {full}\n{options}"


def _title(text: str) -> str:
    return f"{text}\n{'=' * len(text)}\n\n"


def _first_line(value: object) -> str:
    text = inspect.getdoc(value) or ""
    return text.split("\n")[0] if inspect.isclass(value) or callable(value) or text else ""
