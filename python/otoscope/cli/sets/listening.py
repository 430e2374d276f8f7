"""otoscope listening-test: ask people, blind, and analyse what they answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otoscope.cli import files, options
from otoscope.cli.groups import Group
from otoscope.cli.options import Config, Json, Seed
from otoscope.cli.output import console, is_printed, show_tables, write_json

if TYPE_CHECKING:
    from otoscope.workflows.listening.analyse import RatingsResult

__all__ = ["listening_test"]

_TEST = Config("workflows.listening.export", "ListeningTestConfig")
_RATINGS = Config("workflows.listening.analyse", "RatingsConfig")

listening_test = typer.Typer(
    cls=Group,
    help="Ask people, blind, which sounds are good or alike, and analyse what they answer.",
    no_args_is_help=True,
)


@listening_test.command()
def export(  # noqa: PLR0913 - a command has the options it has
    sounds: Annotated[Path, typer.Argument(metavar="SOUNDS", help=_TEST.help("sounds"))],
    out: Annotated[
        Path,
        options.out(
            "Folder for the page and its key; made if it does not exist.",
            files.output("folder", replaces={"test.html": files.HTML, "key.json": files.JSON}),
        ),
    ],
    kind: Annotated[str, _TEST.option("kind")] = _TEST["kind"],
    question: Annotated[str, _TEST.option("question")] = _TEST["question"],
    low: Annotated[str, _TEST.option("low")] = _TEST["low"],
    high: Annotated[str, _TEST.option("high")] = _TEST["high"],
    reference: Annotated[str | None, _TEST.option("reference")] = _TEST["reference"],
    anchor: Annotated[
        list[str] | None,
        _TEST.option("anchors", "--anchor", extra="Repeat the option for another."),
    ] = None,
    repeats: Annotated[int, _TEST.option("repeats")] = _TEST["repeats"],
    sr: Annotated[float | None, _TEST.option("sr", rich_help_panel=options.INPUT)] = _TEST["sr"],
    seed: Seed = _TEST["seed"],
    json_path: Json = None,
) -> None:
    """Write a listening test: a page for listeners, and a key that they must not see.

    The page has no names of conditions or files, and needs no network. All sounds have one
    loudness, and each listener has another order. At the end it writes the answers as CSV.

    Example: otoscope listening-test export sounds/ --reference original --out test
    """
    from otoscope.workflows.listening.export import ListeningTestConfig, export_listening_test

    config = ListeningTestConfig(
        sounds,
        kind,
        question,
        low,
        high,
        reference,
        tuple(anchor or ()),
        repeats,
        sr,
        seed,
    )
    test = export_listening_test(config, out)
    write_json(test.to_dict() if json_path else None, json_path)
    if not is_printed(json_path):
        screen = console()
        n = len(test.conditions)
        screen.print(f"{len(test.trials)} trials of {n} conditions at {test.level:.1f} LUFS")
        for note in test.notes:
            screen.print(note)
        screen.print(f"for listeners: {out / 'test.html'}; keep to yourself: {out / 'key.json'}")


@listening_test.command()
def analyse(
    key: Annotated[Path, typer.Argument(metavar="KEY", help=_RATINGS.help("key"))],
    answers: Annotated[
        list[Path], typer.Argument(metavar="ANSWERS...", help=_RATINGS.help("answers"))
    ],
    keep_failed: Annotated[bool, _RATINGS.option("keep_failed")] = _RATINGS["keep_failed"],
    seed: Seed = _RATINGS["seed"],
    json_path: Json = None,
) -> None:
    """Analyse the answers to a listening test: screening, means, agreement of a score with ratings.

    Ratings need: pip install "otoscope[listening]"

    Example: otoscope listening-test analyse test answers/ --json ratings.json
    """
    from otoscope.workflows.listening.analyse import RatingsConfig, analyse_ratings

    result = analyse_ratings(RatingsConfig(key, tuple(answers), keep_failed, seed))
    write_json(result.to_dict() if json_path else None, json_path)
    if not is_printed(json_path):
        _show(result)


def _show(result: RatingsResult) -> None:
    screen = console()
    screen.print(result.sentence)
    for listener, reason in result.failed.items():
        kept = "kept" if result.config.keep_failed else "left out"
        screen.print(f"{listener} fails the screening, {kept}: {reason}")
    for note in result.notes:
        screen.print(note)
    show_tables([result.table], f"test {result.key.test}")
