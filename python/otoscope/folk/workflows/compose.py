"""Compose with a network: new tunes, other continuations, some bars anew, the rest as it is.

A tune is changed in the form of its tokens, on root C, and written in its own key again. Bars that
are drawn anew keep their right bar lines, so that repeats and endings stay. A bar before one that
stays is drawn several times, and the draw after which the model expects the next bar most is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from otoscope.errors import ParameterError
from otoscope.folk.abc import NotationError, Tune, parse_tune, to_abc, transpose
from otoscope.folk.metrics import Judge, Judgement, TuneCheck, check_tune
from otoscope.folk.metrics.judge import JUDGES
from otoscope.folk.model import SampledTune, SamplingConfig, note_nats, surprise
from otoscope.folk.tokens import get_tokeniser
from otoscope.folk.workflows.sample import (
    SampleFolkConfig,
    check_prime,
    draw_tunes,
    load_model,
    prime_tokens,
    write_tune,
)
from otoscope.progress import silent
from otoscope.seeds import item_seed

__all__ = ["ComposeConfig", "Composer", "Composition", "View"]

_MOST = 8  # compositions at a time
_TRIES = 4  # draws of a bar whose next one stays
_LONGEST_BAR = 40  # tokens
_HEADER = 2  # tokens: meter and key
_MOST_SEMITONES = 24


@dataclass(frozen=True)
class ComposeConfig:
    """Settings of a composition.

    Parameters
    ----------
    n : int
        Number of compositions, in [1, 8].
    seed : int
        Random seed; composition i of a seed is always the same.
    sampling : SamplingConfig
        Temperature, top_p, meter, mode and so on; its own ``prime`` stays empty. Meter and mode of
        a changed tune are its own.
    prime : str, optional
        Beginning of new tunes: ABC on root C, or tokens.
    abc : str
        Tune to change; "" for new tunes.
    from_bar : int, optional
        First bar, from 1, that is written anew with all after it.
    keep : tuple of int, optional
        Bars that stay, from 1; all others are written anew.
    semitones : int
        Transposition, in [-24, 24], of the tune to change, or of new tunes.
    """

    n: int = 1
    seed: int = 0
    sampling: SamplingConfig = field(default_factory=lambda: SamplingConfig(bars_add_up=True))
    prime: str | None = None
    abc: str = ""
    from_bar: int | None = None
    keep: tuple[int, ...] | None = None
    semitones: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.n <= _MOST:
            raise ParameterError(f"n is {self.n}, must be in [1, {_MOST}]")
        if self.seed < 0:
            raise ParameterError(f"seed is {self.seed}, must be at least 0")
        if self.prime is not None:
            check_prime(self.prime)
        if abs(self.semitones) > _MOST_SEMITONES:
            raise ParameterError(f"semitones is {self.semitones}, must be in [-24, 24]")
        if self.from_bar is not None and self.keep is not None:
            raise ParameterError("from_bar and keep are both given; give one of them")
        if (self.from_bar, self.keep) != (None, None) and not self.abc.strip():
            raise ParameterError("from_bar or keep is given without a tune to change; give abc")


@dataclass(frozen=True)
class Composition:
    """A written tune.

    Parameters
    ----------
    number : int
        Number among those of its seed, from 1.
    abc : str
        ABC; ends in a newline.
    nats : float
        Surprise of the model, in nats per token; NaN if it cannot be computed.
    error : str
        Reason why it is no tune, or is unfinished, or "".
    """

    number: int
    abc: str
    nats: float
    error: str = ""


@dataclass(frozen=True, eq=False)
class View:
    """Checks, surprise and judgement of a tune as it stands.

    Parameters
    ----------
    check : TuneCheck
        Violations and features.
    bars : int
        Number of bars.
    nats : tuple of float
        Surprise of each note, rest and chord, in nats, in the order of writing; empty if the model
        cannot read the tune.
    remark : str
        Reason why there is no surprise, or "".
    judgement : Judgement, optional
        Screens and grades, if there is a reference collection with tunes of its meter.
    """

    check: TuneCheck
    bars: int
    nats: tuple[float, ...]
    remark: str
    judgement: Judgement | None

    def to_dict(self) -> dict[str, Any]:
        """Return the view in JSON's types."""
        features, judgement = self.check.features, self.judgement
        return {
            "bars": self.bars,
            "form": features.form if features else "",
            "violations": [
                {"rule": v.rule, "line": v.line, "column": v.column, "message": v.message}
                for v in self.check.violations
            ],
            "nats": self.nats,
            "remark": self.remark,
            "judgement": judgement
            and {
                "passed": judgement.passed,
                "grade": judgement.grade,
                "nearest": judgement.nearest,
                "screens": judgement.screens,
            },
        }


class Composer:
    """A network that writes and changes tunes, with an optional reference collection.

    Parameters
    ----------
    model : str
        Name, file or folder of a network.
    reference : sequence of (str, Tune)
        Names and tunes of a tradition, for the judge.
    """

    def __init__(self, model: str, reference: Sequence[tuple[str, Tune]] = ()) -> None:
        self.model = load_model(model)
        if self.model.tokeniser == "v1":
            raise ParameterError(
                f"{model} writes characters (v1); bars are changed in tokens: take a network of v2"
            )
        self._reference, self._judges = reference, dict[str, Judge | None]()

    def compose(self, config: ComposeConfig) -> tuple[Composition, ...]:
        """Write new tunes, or change one."""
        if not config.abc.strip():
            return self._new(config)
        tune = _parsed(config.abc)
        if config.from_bar is None and config.keep is None:
            moved = transpose(tune, config.semitones) if config.semitones else tune
            return (self._composition(moved, 1),)
        tokens, semitones = self._tokens(tune)
        bars = bar_spans(tokens)
        if config.keep is None:
            first = 1 if config.from_bar is None else config.from_bar
            if not 1 <= first <= len(bars):
                raise ParameterError(f"from_bar is {first}; the tune has {len(bars)} bars")
            drawn = self._continued(tokens[: bars[first - 1][0]], config)
        else:
            if wrong := [bar for bar in config.keep if not 1 <= bar <= len(bars)]:
                raise ParameterError(f"keep has bar {wrong[0]}; the tune has {len(bars)} bars")
            drawn = [
                SampledTune(i, tuple(self._some_anew(tokens, bars, config, i)), 0.0, 0, True, 0.0)
                for i in range(config.n)
            ]
        return tuple(
            self._written(sampled, tune.title or "Tune", semitones + config.semitones)
            for sampled in drawn
        )

    def prime(self, config: ComposeConfig) -> tuple[str, ...]:
        """Read the beginning of new tunes, or say what of it the network does not know."""
        tokens = prime_tokens(config.prime or "", self.model, mode=config.sampling.mode)
        if strange := [token for token in tokens if token not in self.model.vocabulary]:
            raise ParameterError(f"prime has {strange[0]!r}, which the network does not know")
        return tokens

    def view(self, abc: str) -> View:
        """Check a tune, measure its surprise, and judge it if there is a reference."""
        try:
            tune = _parsed(abc)
        except NotationError as err:
            return View(check_tune(err, name="tune"), 0, (), str(err), None)
        check = check_tune(tune, name=tune.title)
        judge = self._judge_of(tune)
        judgement = judge(tune) if judge else None
        try:
            tokens, _ = self._tokens(tune)
            (nats,) = surprise(self.model, [tokens])
        except ParameterError as err:
            return View(check, len(tune.measures), (), str(err), judgement)
        by_note = tuple(note_nats(tokens, nats[:-1]))
        return View(check, len(bar_spans(tokens)), by_note, "", judgement)

    def _new(self, config: ComposeConfig) -> tuple[Composition, ...]:
        sampling = replace(config.sampling, prime=self.prime(config))
        drawn = self._draw(config.n, config.seed, sampling)
        return tuple(self._written(tune, "Tune", config.semitones) for tune in drawn)

    def _continued(self, begun: Sequence[str], config: ComposeConfig) -> list[SampledTune]:
        return self._draw(config.n, config.seed, self._after(begun, config.sampling))

    def _some_anew(
        self,
        tokens: Sequence[str],
        bars: Sequence[tuple[int, int, int]],
        config: ComposeConfig,
        number: int,
    ) -> list[str]:
        """Write the bars anew that do not stay."""
        keep = set(config.keep or ())
        written = list(tokens[: bars[0][0]])
        for bar, (start, content, end) in enumerate(bars, start=1):
            if bar in keep:
                written += tokens[start:end]
                continue
            following = tokens[bars[bar][0] : bars[bar][2]] if bar + 1 in keep else []
            seed = item_seed(config.seed, number, bar)
            new = self._bar(written, following, config.sampling, seed)
            written += (new or list(tokens[start:content])) + list(tokens[content:end])
        return written

    def _bar(
        self, begun: Sequence[str], following: Sequence[str], sampling: SamplingConfig, seed: int
    ) -> list[str]:
        """Draw one bar without its bar line; of several draws, that which fits what follows."""
        limit = len(begun) + _LONGEST_BAR
        after = replace(self._after(begun, sampling), max_tokens=limit, form=None)
        n_tries = _TRIES if following else 1
        try:
            drawn = self._draw(n_tries, seed, after)
        except ParameterError:  # what stands before does not add up
            drawn = self._draw(n_tries, seed, replace(after, bars_add_up=False))
        bars = [_first_bar(tune.tokens[len(begun) :]) for tune in drawn]
        bars = [bar for bar in bars if bar]
        if not bars or not following:
            return bars[0] if bars else []
        nats = surprise(self.model, [[*begun, *bar, "|", *following] for bar in bars])
        n = len(following)
        return bars[int(np.argmin([row[:-1][-n:].sum() for row in nats]))]

    def _after(self, begun: Sequence[str], sampling: SamplingConfig) -> SamplingConfig:
        """Set meter, mode and prime to what is written already."""
        meter, key = (token[2:] for token in begun[:_HEADER])
        prime = tuple(begun[_HEADER:])
        return replace(sampling, meter=meter, mode=key.removeprefix("C"), prime=prime)

    def _draw(self, n: int, seed: int, sampling: SamplingConfig) -> list[SampledTune]:
        return draw_tunes(SampleFolkConfig(n, seed=seed), self.model, sampling, silent)

    def _tokens(self, tune: Tune) -> tuple[list[str], int]:
        """Convert a tune to known tokens on root C, with the interval back to its key."""
        tokeniser = get_tokeniser(self.model.tokeniser)
        try:
            tokens = tokeniser.tokens(tune)
        except NotationError as err:
            raise ParameterError(f"the network cannot read the tune: {err}") from err
        if strange := [token for token in tokens if token not in self.model.vocabulary]:
            raise ParameterError(f"the network does not know {strange[0]!r}; change it in the tune")
        return tokens, tune.notes[0].pitch - tokeniser.tune(tokens).notes[0].pitch

    def _written(self, sampled: SampledTune, title: str, semitones: int) -> Composition:
        tune = write_tune(sampled, self.model.tokeniser, title=title, semitones=semitones)
        (nats,) = surprise(self.model, [sampled.tokens])
        error = tune.error or ("" if sampled.is_finished else "unfinished")
        return Composition(sampled.index + 1, tune.abc, float(nats.mean()), error)

    def _composition(self, tune: Tune, number: int) -> Composition:
        try:
            (nats,) = surprise(self.model, [self._tokens(tune)[0]])
            mean = float(nats.mean())
        except ParameterError:
            mean = float("nan")
        return Composition(number, to_abc(tune, number), mean)

    def _judge_of(self, tune: Tune) -> Judge | None:
        """Return the judge of a tune's meter, made when it is needed first."""
        for name, preset in JUDGES.items():
            if tune.meter.text not in preset.meters or not self._reference:
                continue
            if name not in self._judges:
                try:
                    self._judges[name] = Judge(self._reference, preset=name)
                except ParameterError:  # too few of this meter
                    self._judges[name] = None
            return self._judges[name]
        return None


def bar_spans(tokens: Sequence[str]) -> list[tuple[int, int, int]]:
    """Return, for each bar with content, its start, the end of its content, and its end.

    The bar lines after the content belong to the bar, those before the first one to it as well.
    """
    spans: list[tuple[int, int, int]] = []
    at = _HEADER
    while at < len(tokens) and _is_bar(tokens[at]):
        at += 1
    while at < len(tokens):
        start = at
        while at < len(tokens) and not _is_bar(tokens[at]):
            at += 1
        content = at
        while at < len(tokens) and _is_bar(tokens[at]):
            at += 1
        spans.append((start, content, at))
    return spans


def _first_bar(tokens: Sequence[str]) -> list[str]:
    """Return the tokens before the first bar line, if there is one and something before it."""
    end = next((i for i, token in enumerate(tokens) if _is_bar(token)), 0)
    return list(tokens[:end])


def _is_bar(token: str) -> bool:
    return token[0] in "|:"


def _parsed(abc: str) -> Tune:
    """Read the first tune; an X: field is not needed."""
    return parse_tune(abc)
