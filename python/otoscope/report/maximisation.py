"""The page of a maximised unit: what drives it, made up and real, to see and to hear."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.maximise import Maximised, Ranked, Ranking
from otoscope.protocols import Patch
from otoscope.records import replacing, to_json, versions
from otoscope.report._facts import Fact
from otoscope.report._phrases import decimals
from otoscope.report._picture import Tick, mask_png, mel_ticks, polyline, ticks, time_span
from otoscope.report._render import in_script, render
from otoscope.report._sounds import Sound, data_uri
from otoscope.signal import encode_audio

__all__ = ["Asked", "Specimen", "digits", "save_maximisation", "sentence"]

_POINTS = 150  # of a trace, as drawn


@dataclass(frozen=True)
class Asked:
    """What was maximised.

    Parameters
    ----------
    unit : str
        In words: "unit 0 of fc9".
    model : str
        What the model is called.
    prior : str
        What inputs were made by.
    n_real : int
        Real excerpts that were gone over.
    maximise : bool
        Whether large is best.
    compared : str
        What the distance is of.

    Examples
    --------
    >>> Asked("unit 0 of fc9", "synth-singing", "raw", 68).maximise
    True
    """

    unit: str
    model: str
    prior: str
    n_real: int
    maximise: bool = True
    compared: str = "activations"


@dataclass(frozen=True, eq=False)
class Specimen:
    """An input to be seen and heard.

    Parameters
    ----------
    label : str
        "Best setting".
    patch : Patch
        The input, with its sound if it has one, its peak at most 1.
    activation : float
        Of the unit.
    origin : str
        The setting, or the file and second.
    of_sound : float, optional
        The activation by the sound, where that was made of the picture.

    Examples
    --------
    >>> Specimen("Largest", Patch(torch.zeros(115, 80)), 9.48, "song.ogg, 3.25 s").of_sound
    """

    label: str
    patch: Patch
    activation: float
    origin: str
    of_sound: float | None = None


@dataclass(frozen=True)
class _Panel:
    """A picture: its mask's name and PNG, frames and bands."""

    label: str
    key: str
    png: str
    size: tuple[int, ...]


@dataclass(frozen=True)
class _Course:
    """The best so far of a setting: all its rows as a band, the best as a line, percent."""

    label: str
    band: str
    line: str
    real: float
    step_ticks: list[Tick]
    value_ticks: list[Tick]


def save_maximisation(
    ranking: Ranking,
    path: str | os.PathLike[str],
    *,
    asked: Asked,
    made: Sequence[Specimen],
    real: Sequence[Specimen],
    notes: Sequence[str] = (),
) -> None:
    """Write the page: one HTML file, with its sounds, that needs no network.

    Parameters
    ----------
    ranking : Ranking
        All settings.
    path : str or PathLike
        Ends in .html by custom. Written whole or not at all.
    asked : Asked
        What was maximised.
    made : sequence of Specimen
        Made-up inputs, the first of which is the one to believe.
    real : sequence of Specimen
        The real excerpts that drive the unit furthest, the furthest first.
    notes : sequence of str
        What a reader must know.

    Raises
    ------
    ParameterError
        If ``path`` is a folder, or there is nothing to show.
    OSError
        If the folder is missing or cannot be written.

    Examples
    --------
    >>> save_maximisation(ranking, "unit.html", asked=asked, made=made, real=real)  # doctest: +SKIP
    """
    if not made or not real:
        raise ParameterError(f"there are {len(made)} made-up inputs and {len(real)} real excerpts")
    patch = made[0].patch
    start, end = time_span(patch)
    scale = _scale([specimen.patch for specimen in real])
    with replacing(Path(path)) as draft:
        content = {
            "title": f"What drives {asked.unit}?",
            "about": " · ".join(filter(None, [asked.model, f"prior {asked.prior}"])),
            "sentence": sentence(ranking, asked, made[0].activation, real[0].activation),
            "cautions": notes,
            "sides": [
                _side("made", "Made up", made, scale),
                _side("real", f"Real: the furthest of {asked.n_real:,} excerpts", real, scale),
            ],
            "time_ticks": ticks(start, end, most=5),
            "time_unit": "frame" if patch.duration is None else "s",
            "mel_ticks": [tick for tick in mel_ticks(patch) if 5 < tick.at < 95],
            "mel_unit": "" if patch.mel_hz is None else "Hz",
            "courses": _courses(ranking, real[0].activation),
            "rows": [_row(i, ranked) for i, ranked in enumerate(ranking.rows, 1)],
            "compared": asked.compared,
            "facts": _facts(ranking, asked),
            "json": in_script(to_json(_plain(ranking, asked))),
        }
        draft.write_text(render("maximisation.html", content), "utf-8")


def sentence(ranking: Ranking, asked: Asked, made: float, real: float) -> str:
    """Say how far the unit is driven, and which setting was chosen.

    Parameters
    ----------
    ranking : Ranking
        All settings.
    asked : Asked
        What was maximised.
    made, real : float
        The furthest activations.

    Returns
    -------
    str
        One or two sentences, plain text.

    Examples
    --------
    >>> sentence(ranking, asked, 24.5, 9.48)  # doctest: +SKIP
    'A made-up input drives unit 0 of fc9 up to 24.5; the furthest of 68 real excerpts, to 9.48.'
    """
    said = (
        f"A made-up input drives {asked.unit} {'up' if asked.maximise else 'down'} to "
        f"{digits(made)}; the furthest of {asked.n_real:,} real excerpts, to {digits(real)}."
    )
    if len(ranking.rows) == 1:
        return said
    best = ranking.best
    return (
        f"{said} Of {len(ranking.rows)} settings, {best.setting} is nearest to real excerpts "
        f"(Fréchet distance {digits(best.distance)})."
    )


def digits(value: float) -> str:
    """Write three digits, or whole numbers; a true minus sign, a dash for what is not known.

    Parameters
    ----------
    value : float
        Any.

    Returns
    -------
    str
        Without an exponent below a million.

    Examples
    --------
    >>> digits(-0.01234), digits(26752.4), digits(float("nan"))
    ('−0.0123', '26,752', '–')
    """
    if not np.isfinite(value):
        return "–"
    text = f"{value:.3g}" if not 1000 <= abs(value) < 1e6 else f"{value:,.0f}"
    return text.replace("-", "\N{MINUS SIGN}")


def _side(
    key: str, title: str, specimens: Sequence[Specimen], scale: tuple[float, float]
) -> dict[str, object]:
    """One column of the page: pictures and what can be heard."""
    panels, heard = [], []
    for i, specimen in enumerate(specimens):
        patch, name = specimen.patch, f"{key}-{i}"
        png = mask_png(_loudness(patch, scale))
        panels.append(_Panel(specimen.label, f"picture-{name}", png, tuple(patch.values.shape)))
        answer = digits(specimen.activation)
        if specimen.of_sound is not None:
            answer += f", its sound {digits(specimen.of_sound)}"
        uri = ""
        if patch.y is not None and patch.sr is not None:
            flac = encode_audio(patch.y, sr=round(patch.sr), format="FLAC", subtype="PCM_16")
            uri = data_uri("audio/flac", flac)
        answer += f" · {specimen.origin}"
        heard.append(Sound(name, specimen.label, answer, 0, 100, uri))
    return {"title": title, "panels": panels, "heard": heard}


def _log_mel(patch: Patch) -> Tensor:
    values = patch.values.detach().cpu().double()
    return values if patch.domain is None else patch.domain.log_mel(values)


def _scale(patches: Sequence[Patch]) -> tuple[float, float]:
    """The levels drawn as nothing and as full: those of these excerpts."""
    values = torch.cat([_log_mel(patch).flatten() for patch in patches]).numpy()
    low, high = np.quantile(values, [0.15, 0.999])
    return float(low), max(float(high), float(low) + 1e-9)


def _loudness(patch: Patch, scale: tuple[float, float]) -> Tensor:
    low, high = scale
    return ((_log_mel(patch) - low) / (high - low)).clamp(0, 1) ** 1.5  # quiet cells recede


def _courses(ranking: Ranking, real: float) -> list[_Course]:
    if len(ranking.rows) == 1:
        return [_course(str(ranking.best.setting), ranking.best.found, real)]
    return [_course(f"{name}: {row.setting}", row.found, real) for name, row in ranking.landmarks]


def _course(label: str, found: Maximised, real: float) -> _Course:
    n_steps = found.trace.shape[1]
    steps = np.unique(np.linspace(0, n_steps - 1, _POINTS).round().astype(int))
    rows = found.trace.double().cpu().numpy()[:, steps]
    rows = rows[np.isfinite(rows).all(1)]
    shown = rows if len(rows) else np.full((1, len(steps)), real)
    low, high = min(shown.min(), real), max(shown.max(), real)
    high = max(high, low + 1e-9)
    x = (100 * (steps + 1) / n_steps).tolist()
    edges = np.stack([shown.max(0), shown.min(0)])
    upper, lower = (100 * (edges - low) / (high - low)).tolist()
    return _Course(
        label,
        band=polyline(x + x[::-1], upper + lower[::-1]) + "Z",
        line=polyline(x, upper if found.maximise else lower),
        real=100 * (1 - (real - low) / (high - low)),
        step_ticks=ticks(0, n_steps, most=4),
        value_ticks=ticks(float(low), float(high), most=3),
    )


def _row(rank: int, ranked: Ranked) -> dict[str, object]:
    found, setting = ranked.found, ranked.setting
    furthest = float(found.activation[found.best])
    return {
        "rank": rank,
        "rate": f"{setting.rate:g}",
        "penalty": f"{setting.penalty:g}",
        "iterations": f"{setting.iterations:,}",
        "distance": digits(ranked.distance),
        "furthest": digits(furthest),
        "mean": digits(float(found.activation.nanmean())),
        "seen": f"{ranked.n_seen} of {len(found.activation)}",
        "failed": found.n_failed,
    }


def _facts(ranking: Ranking, asked: Asked) -> list[Fact]:
    n_rows = len(ranking.best.found.seeds)
    share = float((ranking.best.found.steps < ranking.best.setting.iterations).double().mean())
    return [
        Fact("Model", asked.model),
        Fact("Unit", asked.unit, "" if asked.maximise else "made small"),
        Fact("Prior", asked.prior, "what inputs are made by"),
        Fact("Settings", f"{len(ranking.rows)}", f"each from {n_rows} seeds"),
        Fact("Stopped early", f"{decimals(100 * share, 0)} %", "rows of the best setting"),
        Fact("Real excerpts", f"{asked.n_real:,}"),
        *(Fact(f"Version of {name}", version) for name, version in versions().items()),
    ]


def _plain(ranking: Ranking, asked: Asked) -> dict[str, object]:
    rows = [
        {
            "setting": row.setting,
            "distance": row.distance,
            "seen": row.n_seen,
            "activation": row.found.activation,
            "seeds": list(row.found.seeds),
            "failed": row.found.failed,
        }
        for row in ranking.rows
    ]
    return {"asked": asked, "settings": rows, "versions": versions()}
