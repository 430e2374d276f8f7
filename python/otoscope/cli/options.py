"""Options that several commands share, and settings whose default and help the library declares.

A setting is declared once, as a field of a configuration (a dataclass): its default is the field's,
and its help is the field's description under "Parameters" in the docstring. `Config` reads both
from the source file without importing it, since importing torch would slow down ``--help``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from otoscope.errors import ParameterError

__all__ = [
    "INPUT",
    "METHOD",
    "MODEL",
    "OPTIONAL_PATH",
    "OUTPUT",
    "PANELS",
    "Config",
    "Csv",
    "Device",
    "Html",
    "Json",
    "Model",
    "Out",
    "Quick",
    "Seed",
    "Workers",
    "number",
    "out",
    "seed",
]

PANELS = INPUT, MODEL, METHOD, OUTPUT = "Input", "Model", "Method", "Output"
"""Panels of ``--help``, in this order."""

OPTIONAL_PATH = "[PATH]"
"""Metavar of options that print where their PATH is left out."""

_SOURCES = Path(__file__).parents[1]
_DESCRIBED = re.compile(r"^(\w+(?:, \w+)*) : .*\n((?:(?: {4}.*)?(?:\n|$))*)", re.MULTILINE)


class Config(Mapping[str, Any]):
    """Settings of a dataclass: a mapping of names to defaults, ``...`` if there is none.

    ``module`` is the dataclass's module below ``otoscope``, such as "workflows.explain". Defaults
    must be literals or constants of the same module.
    """

    def __init__(self, module: str, name: str) -> None:
        source = _parsed(_SOURCES.joinpath(*module.split(".")).with_suffix(".py"))
        classes = {node.name: node for node in source.body if isinstance(node, ast.ClassDef)}
        fields = [
            (node.target.id, node.value)
            for node in classes[name].body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        ]
        constants = {
            target.id: node.value
            for node in source.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        modules = {
            alias.name: node.module.removeprefix("otoscope.")
            for node in source.body
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }
        self.module, self.name = module, name
        self._defaults = dict(fields)
        self._constants, self._modules = constants, modules
        self._help = _descriptions(ast.get_docstring(classes[name]) or "")

    def __getitem__(self, field: str) -> Any:
        """Return the default of a field."""
        value = self._defaults[field]
        return ... if value is None else _literal(value, self._constants, self._modules)

    def __iter__(self) -> Any:
        """Iterate over the names of the fields."""
        return iter(self._defaults)

    def __len__(self) -> int:
        """Count the fields."""
        return len(self._defaults)

    def help(self, field: str) -> str:
        """Return the description of a field, with arguments spelled as options."""
        options = {name: f"--{name.replace('_', '-')}" for name in self._defaults}
        text = re.sub(r"``(.+?)``", lambda m: options.get(m[1], m[1]), self._help[field])
        return re.sub(r"; see `.*?`", "", text).replace("`", "")

    def option(self, field: str, *names: str, extra: str = "", **settings: Any) -> Any:
        """Declare the option of a field; ``extra`` follows the help, ``settings`` are typer's."""
        if isinstance(self[field], bool) and not names:
            names = (f"--{field.replace('_', '-')}",)  # no --no-...
        help_text = " ".join(filter(None, [self.help(field), extra]))
        settings.setdefault("rich_help_panel", METHOD)
        return typer.Option(*names, help=help_text, **settings)


def seed(extra: str = "") -> Any:
    """Declare ``--seed``; ``extra`` is a sentence that follows the common help."""
    text = " ".join(filter(None, ["Random seed: the same seed gives the same result.", extra]))
    return typer.Option("--seed", help=text, rich_help_panel=METHOD)


def out(description: str, **settings: Any) -> Any:
    """Declare ``--out``: the file or folder that the description names."""
    return typer.Option("--out", help=description, rich_help_panel=OUTPUT, **settings)


def number(description: str) -> Any:
    """Declare ``--n``: the number that the description names."""
    return typer.Option("--n", help=description, rich_help_panel=METHOD)


def _refuse_foreign(suffixes: tuple[str, ...]) -> Any:
    """Refuse to overwrite a file of another kind: ``--json song.ogg`` lacks a PATH."""

    def check(path: Path | None) -> Path | None:
        if path and path.is_file() and path.suffix.lower() not in suffixes:
            raise ParameterError(
                f"{path} exists and does not end in {' or '.join(suffixes)}; name another file to "
                "write, or - to print"
            )
        return path

    return check


Seed: TypeAlias = Annotated[int, seed()]
Device: TypeAlias = Annotated[
    str, typer.Option(help="Device that the model runs on: cpu or cuda.", rich_help_panel=MODEL)
]
Model: TypeAlias = Annotated[
    str,
    typer.Option(
        help="Name of a model (see: otoscope models), a bundle, or FILE.py:FUNCTION.",
        rich_help_panel=MODEL,
    ),
]
Out: TypeAlias = Annotated[Path, out("Folder for the results; made if it does not exist.")]
Json: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar=OPTIONAL_PATH,
        callback=_refuse_foreign((".json", ".jsonl")),
        help="Write the result as JSON to PATH; without PATH, or with -, print it.",
        rich_help_panel=OUTPUT,
    ),
]
Csv: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        metavar=OPTIONAL_PATH,
        callback=_refuse_foreign((".csv",)),
        help="Write the result as a table to PATH; without PATH, or with -, print it.",
        rich_help_panel=OUTPUT,
    ),
]
Html: TypeAlias = Annotated[
    Path | None,
    typer.Option("--html", metavar="PATH", help="Write a report.", rich_help_panel=OUTPUT),
]
Quick: TypeAlias = Annotated[
    bool,
    typer.Option("--quick", help="Run a small version, for a first look.", rich_help_panel=METHOD),
]
Workers: TypeAlias = Annotated[
    int, typer.Option(help="Number of processes that render.", rich_help_panel=METHOD)
]


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _literal(value: ast.expr, constants: Mapping[str, ast.expr], modules: Mapping[str, str]) -> Any:
    while isinstance(value, ast.Name):
        if value.id not in constants:  # imported: another module declares it
            return ...
        value = constants[value.id]
    if isinstance(value, ast.Call):  # field(default_factory=...): a setting of settings
        return ...
    if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name):
        name = value.value.id  # Attack.steps: another dataclass declares it
        return Config(modules[name], name)[value.attr] if name in modules else ...
    try:
        return ast.literal_eval(value)
    except ValueError:  # computed, such as a tuple of objects
        return ...


def _descriptions(docstring: str) -> dict[str, str]:
    """Read the descriptions of the section "Parameters" of a numpydoc docstring."""
    section = docstring.partition("Parameters\n----------\n")[2]
    section = re.split(r"\n\w.*\n-{3,}\n", section)[0]
    return {
        name: " ".join(text.split())
        for names, text in _DESCRIBED.findall(section)
        for name in names.split(", ")
    }
