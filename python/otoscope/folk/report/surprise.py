"""The page of scored tunes: sheet music with coloured notes, and every token.

The darker the background of a token, the less it was expected. A note has the surprise of all its
tokens: its pitch, length, tie and broken rhythm.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from otoscope.documents import document
from otoscope.errors import MissingExtra, ParameterError
from otoscope.folk.abc import Tune
from otoscope.folk.abc.elements import MeasureRest
from otoscope.folk.report.sheet import EVENTS, engrave, in_page
from otoscope.records import to_json, versions
from otoscope.report.methods.bibliography import methods
from otoscope.report.pages import Fact, in_script, save_page, version_facts

__all__ = ["TuneSurprise", "save_surprise", "sentence"]

_SHOWN: Final = 100  # tunes on a page
_ENGRAVED: Final = 16  # of them as sheet music, as on the page of folk render
_DARKEST: Final = 8.0  # nats: probability 1 / 3,000
_SCALE: Final = (0, 1, 2, 4, _DARKEST)
_END: Final = "end"
_EVENT: Final = re.compile(r'(data-event="(\d+)" class="\w+")>')


@dataclass(frozen=True, eq=False)
class TuneSurprise:
    """Surprise of a model at each token of a tune.

    Parameters
    ----------
    name : str
        File and number of the tune.
    title : str
        Title as written; may be empty.
    tokens : tuple of str
        Tokens without boundaries.
    nats : array [token + 1], float64
        Negative log-probability of each token, and of the end, given all tokens before it.
    tune : Tune, optional
        Tune as written, to be drawn in its own key.
    by_note : tuple of float
        Surprise of each note, rest and chord; empty if it is not known.
    is_picked : bool
        Whether the tune was picked from many by a judge: means are without it.
    """

    name: str
    title: str
    tokens: tuple[str, ...]
    nats: NDArray[np.float64]
    tune: Tune | None = None
    by_note: tuple[float, ...] = ()
    is_picked: bool = False

    @cached_property
    def nats_per_token(self) -> float:
        """Mean over the tokens and the end."""
        return float(self.nats.mean())

    def top(self, k: int) -> list[int]:
        """Return the numbers, from 1, of the k most surprising tokens; the last is the end."""
        order = np.argsort(-self.nats, kind="stable")
        return [int(index) + 1 for index in order[:k]]

    def token(self, number: int) -> str:
        """Return the token of a number from 1; "end" after the last."""
        return [*self.tokens, _END][number - 1]

    def to_dict(self) -> dict[str, Any]:
        """Return a row in JSON's types."""
        return {
            "name": self.name,
            "title": self.title,
            "picked": self.is_picked,
            "log_probability": -float(self.nats.sum()),
            "nats_per_token": self.nats_per_token,
            "perplexity": math.exp(self.nats_per_token),
            "tokens": self.tokens,
            "nats": self.nats,
        }


@dataclass(frozen=True)
class _TokenView:
    """A token of the page."""

    text: str
    strength: int
    hint: str
    ends_line: bool


@dataclass(frozen=True)
class _TuneView:
    """A tune of the page."""

    title: str
    about: str
    pictures: list[tuple[str, Markup]]  # class, SVG with coloured notes
    tokens: tuple[_TokenView, ...]


@dataclass(frozen=True)
class _SurprisePage:
    """The page, ready to be printed; the scale has labels and strengths."""

    title: str
    about: str
    sentence: str
    cautions: list[str]
    tunes: list[_TuneView]
    scale: list[tuple[str, int]]
    facts: list[Fact]
    json: Markup


def sentence(tunes: Sequence[TuneSurprise], model: str) -> str:
    """Return a sentence on the mean surprise over all tokens of at least one tune.

    Tunes that were picked by a judge are left out, unless all were.
    """
    tunes = [tune for tune in tunes if not tune.is_picked] or tunes
    nats = float(np.concatenate([tune.nats for tune in tunes]).mean())
    count = f"{len(tunes):,} tunes cost" if len(tunes) > 1 else "1 tune costs"
    return f"{count} {model} {nats:.3f} nats per token: a perplexity of {math.exp(nats):,.1f}."


def save_surprise(
    tunes: Sequence[TuneSurprise],
    path: str | os.PathLike[str],
    *,
    model: str,
    notes: Sequence[str] = (),
) -> None:
    """Write the page: one HTML file that needs no network, whole or not at all.

    The first hundred tunes are shown, the first 16 with sheet music; the numbers of all can be
    downloaded.
    """
    notes = list(notes)
    if len(tunes) > _SHOWN:
        notes.append(f"The first {_SHOWN} of {len(tunes):,} tunes are shown.")
    views, without_sheet = _tune_views(tunes[:_SHOWN])
    notes += without_sheet
    rows = [tune.to_dict() for tune in tunes]
    record = {"model": model, "tunes": rows, "versions": versions()}
    page = _SurprisePage(
        title="How surprising each token is",
        about=model,
        sentence=sentence(tunes, model),
        cautions=notes,
        tunes=views,
        scale=[
            (f"{nats:.0f}{' nats or more' * (nats == _DARKEST)}", _strength(nats))
            for nats in _SCALE
        ],
        facts=_facts(tunes),
        json=in_script(to_json(document("otoscope.TuneSurprises", 2, record))),
    )
    made = methods(
        f"The surprise of each token of {len(tunes):,} tunes is its negative log-probability "
        f"given the tokens before it, under the network {model} [@sturm2016folkrnn]."
    )
    save_page(page, "surprise.html", path, package="otoscope.folk.report", methods=made)


def _tune_views(tunes: Sequence[TuneSurprise]) -> tuple[list[_TuneView], list[str]]:
    """Return the tunes of the page, and why some are without sheet music."""
    views, notes = list[_TuneView](), list[str]()
    for number, tune in enumerate(tunes):
        pictures = list[tuple[str, Markup]]()
        if tune.tune and tune.by_note and number < _ENGRAVED and not notes:
            nats = _by_event(tune.tune, tune.by_note)
            try:
                pictures = [_picture(tune.tune, nats, number, x) for x in ("wide", "narrow")]
            except MissingExtra as err:
                notes.append(f"Without sheet music: {err}")
            except ParameterError:  # the tokens are shown all the same
                pictures = []
        views.append(_tune_view(tune, pictures))
    drawn = sum(bool(view.pictures) for view in views)
    if not notes and drawn < sum(bool(tune.by_note) for tune in tunes):
        notes.append(f"The first {drawn} tunes are shown as sheet music, too.")
    return views, notes


def _picture(tune: Tune, nats: Sequence[float], number: int, name: str) -> tuple[str, Markup]:
    """Draw a tune in its own key; each note has the strength of its surprise as a variable."""
    svg = in_page(engrave(tune, narrow=name == "narrow"), f"{number}{name[0]}")

    def coloured(match: re.Match[str]) -> str:
        value = nats[int(match[2])]
        hint = f"{value:.2f} nats"
        return f'{match[1]} style="--surprise:{_strength(value)}"><title>{hint}</title>'

    return name, Markup(_EVENT.sub(coloured, svg))


def _by_event(tune: Tune, by_note: Sequence[float]) -> list[float]:
    """Return the surprise of each event: a rest of several measures is a rest in each of them."""
    values, sums = iter(by_note), list[float]()
    for element in tune.elements:
        if isinstance(element, EVENTS):
            count = element.count if isinstance(element, MeasureRest) else 1
            sums.append(sum(next(values) for _ in range(count)))
    return sums


def _tune_view(tune: TuneSurprise, pictures: list[tuple[str, Markup]]) -> _TuneView:
    tops = [(n, tune.token(n), f"{tune.nats[n - 1]:.1f}") for n in tune.top(3)]
    listed = ", ".join(f"token {n} “{token}” {nats}" for n, token, nats in tops)
    title = tune.title or tune.name
    about = [
        "picked by --best" if tune.is_picked else "",
        f"{tune.nats_per_token:.3f} nats per token over {len(tune.nats):,}",
        tune.name if tune.name != title else "",
        f"most surprising: {listed} nats",
    ]
    tokens = enumerate(zip([*tune.tokens, _END], tune.nats.tolist(), strict=True), start=1)
    return _TuneView(
        title,
        " · ".join(filter(None, about)),
        pictures,
        tuple(_token_view(number, token, nats) for number, (token, nats) in tokens),
    )


def _token_view(number: int, token: str, nats: float) -> _TokenView:
    return _TokenView(
        {"\n": "↵", " ": "␣"}.get(token, token),
        _strength(nats),
        f"token {number}: {nats:.2f} nats, probability {math.exp(-nats):.2%}",
        ends_line=token == "\n",
    )


def _strength(nats: float) -> int:
    """Return the percentage of the darkest background."""
    return round(100 * min(nats / _DARKEST, 1.0))


def _facts(tunes: Sequence[TuneSurprise]) -> list[Fact]:
    means = np.array([tune.nats_per_token for tune in tunes])
    return [
        Fact("Tunes", f"{len(tunes):,}"),
        Fact("Tokens", f"{sum(len(tune.nats) for tune in tunes):,}", "with an end for each tune"),
        Fact("Most expected tune", f"{means.min():.3f}", tunes[int(means.argmin())].name),
        Fact("Least expected tune", f"{means.max():.3f}", tunes[int(means.argmax())].name),
        *version_facts(),
    ]
