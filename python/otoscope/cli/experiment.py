"""otoscope experiment: the experiments of the papers, from configuration to record and figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from functools import partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import typer

from otoscope.cli import files, options
from otoscope.cli.groups import Group
from otoscope.cli.options import (
    METHOD,
    Config,
    Declared,
    Json,
    Quick,
    Seed,
    annotated,
    command_with,
    given_values,
)
from otoscope.cli.output import (
    bars,
    is_printed,
    show_tables,
    write_json,
)
from otoscope.documents import document
from otoscope.papers import BENCHMARK, EXPERIMENTS, Experiment

__all__ = ["BenchmarkCommand", "benchmark_explainers", "experiment"]

_PLAIN = (bool, int, float, str, Path)

experiment = typer.Typer(
    cls=Group,
    help="Run an experiment of a paper; it writes a record (JSON) and figures.",
    no_args_is_help=True,
)


def _declare(entry: Experiment) -> Declared:
    """Declare an option for each field of a plain type, and ``--quick``."""
    kind, _ = entry.load()
    description, types = Config(f"papers.{entry.module}", entry.config), get_type_hints(kind)
    declared: dict[str, tuple[Any, Any]] = {}
    for field in fields(kind):
        plain = _plain_type(types[field.name])
        if plain is None:
            continue
        is_required = field.default is MISSING and field.default_factory is MISSING
        option = typer.Option(
            f"--{field.name.replace('_', '-')}",
            help=description.help(field.name),
            rich_help_panel=METHOD,
        )
        default = ... if is_required else None if field.default is MISSING else field.default
        annotation = annotated(plain | None if default is None else plain, option)
        declared[field.name] = (Seed if field.name == "seed" else annotation, default)
    if hasattr(kind, "quick"):
        declared["quick"] = (Quick, False)
    return declared


def _configure(kind: Any, values: dict[str, Any]) -> Any:
    """Make the configuration from the options that are given."""
    quick = values.pop("quick", False)
    if hasattr(kind, "from_options"):
        return kind.from_options(quick=quick, **values)
    return replace(kind.quick(), **values) if quick else kind(**values)


def _run(entry: Experiment) -> Callable[..., None]:
    folder = files.output("folder", replaces={entry.record: files.JSON})
    option = options.out("Folder for the results; made if it does not exist.", folder)

    def run(ctx: typer.Context, out: Path, json_file: Json = None) -> None:
        kind, function = entry.load()
        config = _configure(kind, given_values(ctx))
        if entry.resumes:
            kept = f"{out} holds the answers until now: the same command resumes"
        else:
            kept = f"what is in {out} is not complete: the same command begins anew"
        with bars(kept) as progress:
            tables = function(config, out, progress=progress)
        content = {"settings": config, "tables": tables, "out": out}
        write_json(document("otoscope.Experiment", 1, content), json_file)
        if not is_printed(json_file):
            show_tables(tables, f"all numbers: {out / entry.record}")

    run.__annotations__["out"] = annotated(Path, option)
    return run


def _plain_type(hint: Any) -> Any:
    """Return the type of an option, None if a field is not of a plain type."""
    if get_origin(hint) in (Union, UnionType):
        (hint, *others) = [part for part in get_args(hint) if part is not NoneType]
        if others:
            return None
    if get_origin(hint) is Literal:
        return str
    return hint if hint in _PLAIN else None


BenchmarkCommand = command_with(partial(_declare, BENCHMARK))
"""Class of the command ``benchmark-explainers``."""

benchmark_explainers = _run(BENCHMARK)
benchmark_explainers.__doc__ = f"""{BENCHMARK.help}

    Example: otoscope {BENCHMARK.name} --quick {BENCHMARK.example}
    """

for _entry in EXPERIMENTS.values():
    experiment.command(
        _entry.name,
        cls=command_with(partial(_declare, _entry)),
        help=f"{_entry.help}\n\nExample: otoscope experiment {_entry.name} {_entry.example}",
    )(_run(_entry))
