"""Options that several commands share, and settings whose default and help the library declares.

A setting is declared once, as a field of a configuration (a dataclass): its default is the field's,
and its help is the field's description under "Parameters" in the docstring. `Config` reads both
from the source file without importing it, since importing torch would slow down ``--help``.

For the same reason a command may declare further options, such as those of all registered
interventions, when its own help or its arguments are read (`command_with`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from functools import cache
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.markup import escape
from typer.core import TyperCommand

from otoscope.cli import files

__all__ = [
    "INPUT",
    "METHOD",
    "MODEL",
    "OPTIONAL_PATH",
    "OUTPUT",
    "PANELS",
    "Config",
    "Csv",
    "Declared",
    "Device",
    "Html",
    "Json",
    "Model",
    "Out",
    "Quick",
    "Seed",
    "Workers",
    "annotated",
    "as_written",
    "command_with",
    "declared_values",
    "given_names",
    "given_values",
    "number",
    "out",
    "seed",
]

PANELS = INPUT, MODEL, METHOD, OUTPUT = "Input", "Model", "Method", "Output"
"""Panels of ``--help``, in this order."""

OPTIONAL_PATH = "[PATH]"
"""Metavar of options that print where their PATH is left out."""

Declared: TypeAlias = Mapping[str, tuple[Any, Any]]
"""Names of options, each with its type, Annotated with `typer.Option`, and its default."""

_META = "otoscope.declared"
_SOURCES = Path(__file__).parents[1]
_DESCRIBED = re.compile(r"^(\w+(?:, \w+)*) : .*\n((?:(?: {4}.*)?(?:\n|$))*)", re.MULTILINE)


class Config(Mapping[str, Any]):
    """Settings of a dataclass: a mapping of names to defaults, ``...`` if there is none.

    ``module`` is the dataclass's module below ``otoscope``, such as "workflows.explain.config".
    Defaults must be literals or constants of the same module.
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


def out(description: str, declared: Any, **settings: Any) -> Any:
    """Declare ``--out``: the file or folder that the description names, see `files.output`."""
    return typer.Option(
        "--out", help=description, callback=declared, rich_help_panel=OUTPUT, **settings
    )


def number(description: str) -> Any:
    """Declare ``--n``: the number that the description names."""
    return typer.Option("--n", help=description, rich_help_panel=METHOD)


def command_with(declare: Callable[[], Declared]) -> type[TyperCommand]:
    """Make the class of a command with further options, for ``app.command(cls=...)``."""

    class Command(TyperCommand):
        """A command whose further options come before those of the output."""

        further: set[str] | None = None

        def get_params(self, ctx: Any) -> Any:
            """Declare the further options at the first call."""
            if self.further is None:
                parameters = _parameters(declare())
                panels = [getattr(p, "rich_help_panel", None) for p in self.params]
                place = panels.index(OUTPUT) if OUTPUT in panels else len(panels)
                self.params[place:place] = parameters
                self.further = {parameter.name for parameter in parameters}
            return super().get_params(ctx)

        def invoke(self, ctx: Any) -> Any:
            """Run the command, with the further values in its context."""
            values = {name: ctx.params.pop(name) for name in self.further or ()}
            ctx.meta[_META] = {
                name: list(value) or None if isinstance(value, list | tuple) else value
                for name, value in values.items()
            }
            return super().invoke(ctx)

    return Command


def annotated(annotation: Any, option: Any) -> Any:
    """Annotate a type that is known at run time only."""
    return Annotated.__class_getitem__((annotation, option))  # type: ignore[attr-defined]


def declared_values(ctx: typer.Context) -> dict[str, Any]:
    """Return the values of the further options, by name."""
    values: dict[str, Any] = ctx.meta[_META]
    return values


def given_values(ctx: typer.Context) -> dict[str, Any]:
    """Return the values of the further options that the command line gives, by name."""
    return {name: value for name, value in declared_values(ctx).items() if _is_given(ctx, name)}


def given_names(ctx: typer.Context) -> set[str]:
    """Return the names of the parameters that the command line gives, even with their default."""
    return {name for name in ctx.params if _is_given(ctx, name)}


def _is_given(ctx: typer.Context, name: str) -> bool:
    return getattr(ctx.get_parameter_source(name), "name", "DEFAULT") != "DEFAULT"


def as_written(parameter: Any) -> Any:
    """Show the help of a parameter as written, since rich takes brackets as markup; type no flag.

    Typer would show a flag as ``--quick <bool>``.
    """
    parameter.help = parameter.help and escape(parameter.help)
    if getattr(parameter, "is_flag", False):
        parameter.metavar = ""
    return parameter


Seed: TypeAlias = Annotated[int, seed()]
Device: TypeAlias = Annotated[
    str, typer.Option(help="Device that the model runs on: cpu or cuda.", rich_help_panel=MODEL)
]
Model: TypeAlias = Annotated[
    str,
    typer.Option(
        help="Name of a model (see: otoscope models), a bundle, the folder of a training, or "
        "FILE.py:FUNCTION.",
        rich_help_panel=MODEL,
    ),
]
Out: TypeAlias = Annotated[
    Path, out("Folder for the results; made if it does not exist.", files.output("folder"))
]
Json: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar=OPTIONAL_PATH,
        callback=files.output("file", files.JSON_OR_RECORDS),
        help="Write the result as JSON to PATH; without PATH, or with -, print it.",
        rich_help_panel=OUTPUT,
    ),
]
Csv: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        metavar=OPTIONAL_PATH,
        callback=files.output("file", files.TABLE),
        help="Write the result as a table to PATH; without PATH, or with -, print it.",
        rich_help_panel=OUTPUT,
    ),
]
Html: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="PATH",
        callback=files.output("file", files.HTML),
        help="Write a report.",
        rich_help_panel=OUTPUT,
    ),
]
Hours: TypeAlias = Annotated[
    float | None,
    typer.Option(help="Time limit; the best model until then is kept.", rich_help_panel=METHOD),
]
Resume: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Continue from MODEL's checkpoint, if it has one.",
        rich_help_panel=METHOD,
    ),
]
Quick: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--quick",
        help="Run a small version, for a first look; other options still count.",
        rich_help_panel=METHOD,
    ),
]
Workers: TypeAlias = Annotated[
    int | None,
    typer.Option(
        help="Number of processes that share the files, each on one core; a single file takes "
        "one. By default as many as there are cores, if the files repay their start.",
        rich_help_panel=METHOD,
    ),
]


def _parameters(declared: Declared) -> list[Any]:
    """Make the parameters of a function with these options, by typer."""

    def function(**_: Any) -> None: ...

    signature = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in declared.items()
    ]
    function.__signature__ = Signature(signature)  # type: ignore[attr-defined]
    function.__annotations__ = {name: annotation for name, (annotation, _) in declared.items()}
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return [as_written(parameter) for parameter in typer.main.get_command(app).params]


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
