"""otoscope interrogate: do the model's answers move with what must not matter?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console
from rich.table import Table

from otoscope.cli.options import Seed
from otoscope.cli.output import require_folder, require_writable
from otoscope.cli.progress import bars
from otoscope.errors import ParameterError
from otoscope.records import replacing, to_json

if TYPE_CHECKING:
    from otoscope.intervene import InterrogationResult, Intervention
    from otoscope.intervene.statistics.bootstrap import MetricName
    from otoscope.workflows import InterrogateResult

__all__ = ["interrogate"]

_CODECS = {"mp3": 64.0, "vorbis": 50.0, "opus": 64.0}
"""What a song is usually coded with: kbit/s a channel, of vorbis the quality in percent."""


def interrogate(  # noqa: PLR0913 - a command has the options it has
    model: Annotated[
        str, typer.Option(help="A name (see: otoscope models), a bundle, or FILE.py:FUNCTION.")
    ],
    data: Annotated[
        Path, typer.Option(help="Folder: a sub-folder a class, a dance corpus, or features.npz.")
    ],
    labels: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Table: file,label and further columns.")
    ] = None,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Right is what it says of the unchanged sound.")
    ] = False,
    groups: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="What items share; default: group.")
    ] = None,
    confound: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A number that may give the class away. Again: more."),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option("--classes", "--outputs", metavar="A,B,...", help="What it may answer."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Of a model's one output: above it, it holds; 0.5.")
    ] = None,
    tempo: Annotated[float | None, typer.Option(help="Up to so many %, pitch kept.")] = None,
    pitch: Annotated[float | None, typer.Option(help="Up to so many cents.")] = None,
    stretcher: Annotated[
        list[str] | None,
        typer.Option(help="Of --tempo, --pitch: python-stretch (default), librosa. Again: both."),
    ] = None,
    eq: Annotated[float | None, typer.Option(help="Random equalisers, up to so many dB.")] = None,
    gain: Annotated[float | None, typer.Option(help="Up to so many dB.")] = None,
    highpass: Annotated[float | None, typer.Option(help="Cut-off, Hz: 20 is inaudible.")] = None,
    lowpass: Annotated[
        float | None, typer.Option(help="Cut-off, Hz; dulls from half of it, unless --steep.")
    ] = None,
    steep: Annotated[
        bool, typer.Option("--steep", help="Filters of 60 dB within 5 % of the cut-off.")
    ] = False,
    codec: Annotated[
        list[str] | None, typer.Option(help="mp3, vorbis, opus; or mp3:32, kbit/s. Again: more.")
    ] = None,
    resample: Annotated[float | None, typer.Option(help="To so many Hz and back.")] = None,
    bits: Annotated[int | None, typer.Option(help="Rounded to so many bits.")] = None,
    noise: Annotated[float | None, typer.Option(help="At this signal-to-noise ratio, dB.")] = None,
    reverb: Annotated[float | None, typer.Option(help="A room, up to so many seconds.")] = None,
    silence: Annotated[float | None, typer.Option(help="Before it, up to so many s.")] = None,
    crop: Annotated[float | None, typer.Option(help="Begins later, by up to so many s.")] = None,
    polarity: Annotated[bool, typer.Option("--polarity", help="Turned over.")] = False,
    dilation: Annotated[
        float | None, typer.Option(help="Of features: up to so many %, + is slower.")
    ] = None,
    doses: Annotated[int | None, typer.Option(help="To each side of no change; 3.")] = None,
    budget: Annotated[int, typer.Option(help="Further tries an item, of several at once.")] = 0,
    max_drop: Annotated[
        float, typer.Option(help="Points that the score may fall by; exit code 1 beyond.")
    ] = 5.0,
    figure: Annotated[str, typer.Option(help="mean_recall or accuracy.")] = "mean_recall",
    duration: Annotated[
        float | None, typer.Option(help="Analysed seconds; default: what the shortest gives.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that render.")] = 1,
    cache: Annotated[
        Path | None, typer.Option(help="Folder to keep renderings in, up to 2 GB.")
    ] = None,
    records: Annotated[
        Path | None, typer.Option(help="Answers as they come (.jsonl): the same again goes on.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Report: verdict, curves, pairs.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="All that was found, for machines; - prints it.")
    ] = None,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Change sounds in what must not matter, and see whether a model's answers stay.

    Name the changes that the task does not care for. Exit code 1 if the score falls by more than
    --max-drop at any of them (a gate for teams), 0 if it does not, 2 for bad input.

    Example: otoscope interrogate --model net.py:make --data dances --tempo 6 --html horse.html
    """
    prints = json_file == Path("-")
    for path in (html, None if prints else json_file, records):
        require_writable(path)
    require_folder(cache)
    from otoscope import intervene, workflows  # torch takes seconds to load

    design, by = "steep" if steep else "gentle", stretcher or ["python-stretch"]
    changes: list[Intervention | None] = [
        *(None if tempo is None else intervene.Tempo(tempo, stretcher=one) for one in by),
        *(None if pitch is None else intervene.Pitch(pitch, stretcher=one) for one in by),
        None if eq is None else intervene.Equaliser(eq),
        None if gain is None else intervene.Gain(gain),
        None if highpass is None else intervene.HighPass(highpass, design=design),
        None if lowpass is None else intervene.LowPass(lowpass, design=design),
        *map(_codec, codec or []),
        None if resample is None else intervene.Resample(resample),
        None if bits is None else intervene.BitDepth(bits),
        None if noise is None else intervene.WhiteNoise(noise),
        None if reverb is None else intervene.Reverb(reverb),
        None if silence is None else intervene.LeadingSilence(silence),
        None if crop is None else intervene.Crop(crop),
        intervene.Polarity() if polarity else None,
    ]
    asked = workflows.InterrogateConfig(
        model=model,
        data=data,
        interventions=tuple(change for change in changes if change is not None),
        dilation=dilation,
        labels=labels,
        unlabelled=unlabelled,
        groups=groups,
        confound=None if confound is None else tuple(confound),
        classes=None if classes is None else tuple(name.strip() for name in classes.split(",")),
        threshold=threshold,
        doses=doses,
        budget=budget,
        max_drop=max_drop,
        settings=intervene.InterrogationSettings(
            duration=duration,
            metric=cast("MetricName", figure),
            seed=seed,
            workers=workers,
            cache=cache,
        ),
        device=device,
    )
    with bars() as progress:
        interrogated = workflows.interrogate_files(asked, answers=records, progress=progress)
        if html:
            workflows.save_interrogate_page(interrogated, html)
    _tell(interrogated, json_file, html)
    raise typer.Exit(1 if interrogated.result.is_broken else 0)


def _codec(asked: str) -> Intervention:
    from otoscope.intervene import CodecRoundTrip

    name, _, amount = asked.partition(":")
    if name not in _CODECS:
        raise ParameterError(f"--codec is {asked!r}, must be one of {', '.join(_CODECS)}")
    try:
        return CodecRoundTrip(float(amount) if amount else _CODECS[name], codec=name)
    except ValueError as err:
        if isinstance(err, ParameterError):
            raise
        raise ParameterError(f"--codec is {asked!r}, must be as {name}:{_CODECS[name]:g}") from None


def _tell(interrogated: InterrogateResult, json_file: Path | None, html: Path | None) -> None:
    if json_file == Path("-"):
        typer.echo(to_json(interrogated.to_dict(), indent=2))
        return
    if json_file:
        with replacing(json_file) as draft:
            draft.write_text(to_json(interrogated.to_dict(), indent=1) + "\n", encoding="utf-8")
    _show(interrogated.result)
    if html:
        Console(markup=False, highlight=False).print(f"report: {html}", soft_wrap=True)


def _show(result: InterrogationResult) -> None:
    from otoscope.report import interrogation_text as text
    from otoscope.report import verdict_text

    console, verdict = Console(markup=False, highlight=False), verdict_text(result)
    console.print(text.typeset(verdict.sentence, is_sentence=True), soft_wrap=True)
    console.print(text.bound_text(result), soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for heading in ("furthest at", text.metric_name(result), "minus unchanged", "p"):
        table.add_column(heading)
    table.add_row("no change", text.format_score(result.baseline), "", "")
    for curve in result.curves:
        worst = curve.worst
        table.add_row(
            text.typeset(worst.intervention) + " (positive control)" * (not curve.label_preserving),
            text.format_score(worst.score),
            text.format_change(worst.change),
            text.format_p(worst.p_holm),
        )
    console.print(table)
    for line in (*verdict.evidence, *verdict.not_supported, *verdict.cautions):
        console.print(text.typeset(line, is_sentence=True), soft_wrap=True)
