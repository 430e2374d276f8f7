"""otoscope interrogate: do the answers of a model move with what should not matter?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from otoscope.cli import files
from otoscope.cli.interrogate_output import show_interrogation, show_size
from otoscope.cli.options import (
    INPUT,
    METHOD,
    MODEL,
    OUTPUT,
    Config,
    Declared,
    Device,
    Html,
    Json,
    Seed,
    annotated,
    command_with,
    declared_values,
    given_names,
)
from otoscope.cli.output import (
    NOTHING_KEPT,
    bars,
    console,
    is_printed,
    show_skipped,
    truncation_listed,
    write_json,
)
from otoscope.errors import Advice, Argument, Ignored, ParameterError

if TYPE_CHECKING:
    from otoscope.intervene import SoundIntervention
    from otoscope.intervene.registry import Modifier
    from otoscope.intervene.statistics.bootstrap import MetricName
    from otoscope.workflows import InterrogateConfig
    from otoscope.workflows.interrogate.config import Way

__all__ = ["InterrogateCommand", "interrogate", "interventions_of"]

_INTERVENTIONS = "Interventions"
_CACHE = files.output("shared folder")
_CONFIG = Config("workflows.interrogate.config", "InterrogateConfig")
_SETTINGS = Config("intervene.interrogation.session", "InterrogationSettings")


def _declare() -> Declared:
    """Declare the options of all registered interventions."""
    from otoscope.intervene import registered

    types: dict[str, Any] = {"flag": bool, "int": int | None, "float": float | None}
    declared: dict[str, tuple[Any, Any]] = {}
    modifiers: dict[str, Modifier] = {}
    for entry in registered():
        annotation = types.get(entry.value_type, list[str] | None)
        option = typer.Option(
            entry.option, help=entry.help, metavar=entry.metavar, rich_help_panel=_INTERVENTIONS
        )
        default = False if entry.value_type == "flag" else None
        declared[_name(entry.option)] = (annotated(annotation, option), default)
        modifiers |= {modifier.option: modifier for modifier in entry.modifiers}
    for modifier in modifiers.values():
        is_flag = modifier.value is not None
        option = typer.Option(modifier.option, help=modifier.help, rich_help_panel=_INTERVENTIONS)
        annotation = cast(Any, bool if is_flag else list[str] | None)
        declared[_name(modifier.option)] = (
            annotated(annotation, option),
            False if is_flag else None,
        )
    return declared


InterrogateCommand = command_with(_declare)
"""Class of the command, with the options of all registered interventions."""


def interrogate(  # noqa: PLR0913 - one parameter per option
    ctx: typer.Context,
    data: Annotated[Path | None, _CONFIG.option("data", rich_help_panel=INPUT)] = None,
    model: Annotated[str | None, _CONFIG.option("model", rich_help_panel=MODEL)] = None,
    predictions: Annotated[
        str | None,
        typer.Option(
            "--import",
            metavar="CSV|OUT",
            help="Predictions (id, label) for the sounds of an export, or the folder or URI of "
            "otoscope batch interrogate: give the verdict.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    labels: Annotated[
        Path | None, _CONFIG.option("labels", metavar="CSV", rich_help_panel=INPUT)
    ] = None,
    answers: Annotated[
        str,
        _CONFIG.option("answers", metavar="KIND", rich_help_panel=MODEL),
    ] = _CONFIG["answers"],
    unlabelled: Annotated[bool, _CONFIG.option("unlabelled", rich_help_panel=INPUT)] = False,
    strict: Annotated[bool, _CONFIG.option("strict", rich_help_panel=INPUT)] = _CONFIG["strict"],
    groups: Annotated[
        str | None, _CONFIG.option("groups", metavar="COLUMN", rich_help_panel=INPUT)
    ] = None,
    confound: Annotated[
        list[str] | None,
        _CONFIG.option("confound", metavar="COLUMN", extra="Repeatable.", rich_help_panel=INPUT),
    ] = None,
    classes: Annotated[
        str | None,
        _CONFIG.option(
            "classes", "--classes", "--outputs", metavar="A,B,...", rich_help_panel=MODEL
        ),
    ] = None,
    threshold: Annotated[float | None, _CONFIG.option("threshold", rich_help_panel=MODEL)] = None,
    padded: Annotated[bool, _CONFIG.option("padded", rich_help_panel=INPUT)] = _CONFIG["padded"],
    dilation: Annotated[
        float | None, _CONFIG.option("dilation", rich_help_panel=_INTERVENTIONS)
    ] = None,
    control: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Positive control, which should change the answers: no-audio, noise-instead, "
            "other-item, or the name of an option above, such as lowpass. Repeatable.",
            rich_help_panel=_INTERVENTIONS,
        ),
    ] = None,
    doses: Annotated[int | None, _CONFIG.option("doses", rich_help_panel=_INTERVENTIONS)] = None,
    budget: Annotated[int, _CONFIG.option("budget", rich_help_panel=_INTERVENTIONS)] = _CONFIG[
        "budget"
    ],
    transfer_to: Annotated[
        Path | None, _CONFIG.option("transfer_to", metavar="DATA", rich_help_panel=INPUT)
    ] = None,
    same_names: Annotated[bool, _CONFIG.option("same_names", rich_help_panel=INPUT)] = _CONFIG[
        "same_names"
    ],
    max_drop: Annotated[
        float, _CONFIG.option("max_drop", extra="Exit code 1 beyond it.")
    ] = _CONFIG["max_drop"],
    min_score: Annotated[
        float, _SETTINGS.option("min_score", extra="Exit code 1 below it.")
    ] = _SETTINGS["min_score"],
    sr: Annotated[float | None, _SETTINGS.option("sr")] = _SETTINGS["sr"],
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            "--figure",
            help="Metric: mean_recall or accuracy; default: mean_recall with labels, without the "
            "fraction of all answers that stay (accuracy).",
            rich_help_panel=METHOD,
        ),
    ] = _SETTINGS["metric"],
    duration: Annotated[float | None, _SETTINGS.option("duration")] = None,
    seed: Seed = 0,
    workers: Annotated[int | None, _SETTINGS.option("workers")] = _SETTINGS["workers"],
    cache: Annotated[Path | None, _SETTINGS.option("cache", callback=_CACHE)] = None,
    cache_gb: Annotated[
        float, _SETTINGS.option("cache_gb", "--cache-gb", rich_help_panel=METHOD)
    ] = _SETTINGS["cache_gb"],
    device: Device = "cpu",
    records: Annotated[
        Path | None,
        typer.Option(
            callback=files.output("file", files.RECORDS),
            help="Answers as they come (.jsonl); a repeated run continues there.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            callback=files.output("new folder"),
            help="Folder for the changed sounds with anonymous names and a manifest, in place of "
            "asking a model.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    plan: Annotated[
        bool,
        typer.Option(
            help="Ask no model: say how many items clear a system, for which bound.",
            rich_help_panel=METHOD,
        ),
    ] = False,
    html: Html = None,
    json_file: Json = None,
) -> None:
    """Change sounds in ways that should not matter, and test whether a model's answers stay.

    A model whose answers move is a horse: it answers by something other
    than its task, as Clever Hans, who could not count, watched the faces
    around him.

    Name the changes that the task does not depend on. Exit code 1 if the
    score falls by more than --max-drop at any of them, or is less than
    --min-score (a gate for teams), 0 if not, 2 for bad input. Files that
    cannot be read are skipped and listed.

    For systems that are not Python, --export writes the sounds, and
    --import reads predictions. It also reads the parts that otoscope batch
    interrogate wrote.

    Example: otoscope interrogate --model net.py:make --data dances --tempo 6 --html horse.html
    """
    from otoscope import workflows
    from otoscope.intervene import InterrogationSettings
    from otoscope.workflows.interrogate.config import check_options

    data = _data(data, model, export, predictions, plan=plan)
    if (export or predictions or plan) and records:
        raise ParameterError("records cannot be written: no model is asked")
    if (export or plan) and html:
        raise ParameterError("html cannot be written before there are predictions")
    config = workflows.InterrogateConfig(
        model=model,
        data=data,
        interventions=tuple(interventions_of(declared_values(ctx), control or ())),
        dilation=dilation,
        answers=answers,
        labels=labels,
        strict=strict,
        unlabelled=unlabelled,
        groups=groups,
        confound=None if confound is None else tuple(confound),
        classes=None if classes is None else tuple(name.strip() for name in classes.split(",")),
        threshold=threshold,
        padded=padded,
        doses=doses,
        budget=budget,
        transfer_to=transfer_to,
        same_names=same_names,
        max_drop=max_drop,
        settings=InterrogationSettings(
            sr=sr,
            duration=duration,
            min_score=min_score,
            metric=cast("MetricName | None", metric),
            seed=seed,
            workers=workers,
            cache=cache,
            cache_gb=cache_gb,
        ),
        device=device,
    )
    way = _way(export, predictions, plan=plan, answers=answers)
    check_options(config, way, given_names(ctx))
    if plan:
        size = workflows.plan_size(config)
        write_json(size.to_dict(), json_file)
        if not is_printed(json_file):
            show_size(size)
        return
    if export:
        _export(config, export, json_file)
        return
    kept = (
        f"{records} holds the answers until now: the same command resumes"
        if records
        else f"{NOTHING_KEPT}; with --records FILE.jsonl it resumes"
    )
    with truncation_listed(), bars(kept) as progress:
        if predictions:
            is_table = way == "import"
            judge = workflows.import_interrogation if is_table else workflows.interrogate_parts
            interrogated = judge(config, predictions)
        else:
            interrogated = workflows.interrogate_files(config, answers=records, progress=progress)
        if html:
            workflows.save_interrogate_page(interrogated, html)
    if json_file:
        write_json(interrogated.to_dict(), json_file)
    if not is_printed(json_file):
        show_interrogation(interrogated.result)
        for note in interrogated.notes:
            console().print(note)
        if html:
            console().print(f"report: {html}")
    show_skipped(data, interrogated.skipped)
    result = interrogated.result
    raise typer.Exit(1 if result.is_broken or result.is_below else 0)


def _data(
    data: Path | None,
    model: str | None,
    export: Path | None,
    predictions: str | None,
    *,
    plan: bool,
) -> Path:
    """Return the data; there is one of a model, an export, an import and a plan."""
    ways: dict[str, Any] = {"--model": model, "--export": export, "--import": predictions}
    ways["--plan"] = plan or None
    chosen = [name for name, value in ways.items() if value is not None]
    if len(chosen) != 1:
        problem = f"{' and '.join(chosen)} exclude each other" if chosen else "no model is named"
        raise ParameterError(f"{problem}; give one of {', '.join(ways)}")
    if data is None and predictions is None:
        raise ParameterError(
            "no data are named", advice=Advice("name them with ", Argument("data"))
        )
    if predictions and _is_place(predictions):
        if data is not None:
            raise ParameterError(
                f"data is {data}, and {predictions} names its files",
                advice=Advice("leave out ", Argument("data")),
            )
        return Path(predictions.partition("?")[0].rstrip("/").rpartition("/")[2] or ".")
    return Path(predictions).parent if data is None and predictions else data or Path()


def _way(export: Path | None, predictions: str | None, *, plan: bool, answers: str) -> Way:
    """Return the way of the options."""
    if predictions:
        return "parts" if _is_place(predictions) else "import"
    of_model: Way = "model" if answers == "labels" else "outputs"
    return "plan" if plan else "export" if export else of_model


def _is_place(text: str) -> bool:
    """Whether a text names parts, by their folder or URI, and not a file of predictions."""
    return "://" in text or Path(text).is_dir()


def _export(config: InterrogateConfig, folder: Path, json_file: Path | None) -> None:
    from otoscope import workflows

    with truncation_listed(), bars() as progress:
        exported = workflows.export_interrogation(config, folder, progress=progress)
    write_json(exported.to_dict(), json_file)
    if not is_printed(json_file):
        out = console()
        out.print(f"{folder}: {exported.n_sounds:,} sounds of {exported.n_items:,} items")
        out.print(
            f"answer {folder / 'manifest.csv'} with a table of id and label, keep "
            f"{folder / 'key.json'} to yourself, then: otoscope interrogate --data {folder} "
            "--import predictions.csv"
        )
        for note in exported.notes:
            out.print(note)
    show_skipped(config.data, exported.skipped)


def interventions_of(
    values: dict[str, Any], controls: Sequence[str] = ()
) -> list[SoundIntervention]:
    """Make the interventions that were chosen, in the order of the registry; controls last."""
    from otoscope.intervene import registered
    from otoscope.intervene.transforms.controls import CONTROLS

    _check_modifiers(values)
    made: dict[str, list[SoundIntervention]] = {
        entry.option.removeprefix("--"): entry.from_option(
            values[_name(entry.option)],
            {modifier.field: values[_name(modifier.option)] for modifier in entry.modifiers},
        )
        for entry in registered()
    }
    for name in controls:
        if name not in CONTROLS and not made.get(name):
            chosen = [option for option, interventions in made.items() if interventions]
            raise ParameterError(
                f"control is {name!r}, must be one of {', '.join([*CONTROLS, *chosen])}"
            )
        if name not in CONTROLS:
            made[name] = [replace(change, label_preserving=False) for change in made[name]]
    replaced = [CONTROLS[name]() for name in dict.fromkeys(controls) if name in CONTROLS]
    return [change for changes in made.values() for change in changes] + replaced


def _check_modifiers(values: dict[str, Any]) -> None:
    """Refuse a modifier without an intervention that it modifies."""
    from otoscope.intervene import registered

    modified: dict[str, list[str]] = {}
    for entry in registered():
        for modifier in entry.modifiers:
            modified.setdefault(_name(modifier.option), []).append(_name(entry.option))
    for name, interventions in modified.items():
        if values[name] and not any(values[other] not in (None, False) for other in interventions):
            arguments = tuple(Argument(other) for other in interventions)
            raise Ignored(name, "and no change is named that has it", arguments).error(values[name])


def _name(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")
