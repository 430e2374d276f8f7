"""Commands with options that the library declares, read when the command is first used.

Loading torch takes seconds, which ``otoscope --help`` must not. A command therefore declares the
options of its function at once, and further ones, such as those of all registered interventions,
when its own help or its arguments are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from typing import Annotated, Any, TypeAlias

import typer
from rich.markup import escape
from typer.core import TyperCommand

from otoscope.cli.options import OUTPUT

__all__ = ["Declared", "annotated", "command_with", "declared_values"]

Declared: TypeAlias = Mapping[str, tuple[Any, Any]]
"""Names of options, each with its type, Annotated with `typer.Option`, and its default."""

_META = "otoscope.declared"


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
    parameters: list[Any] = list(typer.main.get_command(app).params)
    for parameter in parameters:
        parameter.help = parameter.help and escape(parameter.help)
    return parameters
