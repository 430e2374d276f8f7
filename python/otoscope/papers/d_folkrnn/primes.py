"""Beginnings from outside the tradition: how a network goes on, beside beginnings of real tunes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from otoscope.folk.abc import NotationError
from otoscope.folk.metrics import classify_measures
from otoscope.folk.model import FolkModel, SamplingConfig, sample, surprise
from otoscope.papers.d_folkrnn._rates import rate_of
from otoscope.papers.d_folkrnn._tunes import tune_of
from otoscope.papers.d_folkrnn.units import is_bar_line

__all__ = ["PRIMES", "continue_prime", "prime_of"]

_METER, _MODE = "4/4", "maj"
_CHROMATIC: Final = "C ^C D ^D E F ^F G | ^G A ^A B c B ^A A |"
PRIMES: Final = {
    "chromatic scale": _CHROMATIC,
    "whole tones": "C D E ^F ^G ^A c ^A | ^G ^F E D C D E ^F |",
    "twelve tones": "C ^F B F E ^A A ^D | D ^G G ^C C ^F B F |",
    "one note": "C C C C C C C C | C C C C C C C C |",
    "leaps of two octaves": "C, c C, c C, c C, c | C, c C, c C, c C, c |",
    "silence": "z 8 | z 8 |",
    "bars of five quarters": "C D E F G A G F E D | C E G E C D E F G E |",
    "minor third only": "C _E C _E C _E C _E | C _E C _E C _E C _E |",
}
"""Two bars each, after M:4/4 and K:Cmaj."""

_ACCIDENTAL: Final = re.compile(r"[\^_=]+[A-Ga-g][,']*")
_PITCH: Final = re.compile(r"[\^_=]*[A-Ga-g][,']*")


def prime_of(tune: Sequence[str]) -> tuple[str, ...]:
    """Return the first two bars of a tune, a pickup included; empty if it has fewer."""
    lines = [place for place, token in enumerate(tune) if place > 2 and is_bar_line(token)]
    return tuple(tune[2 : lines[1] + 1]) if len(lines) > 1 else ()


def continue_prime(
    model: FolkModel, primes: Sequence[Sequence[str]], *, n: int, seed: int
) -> dict[str, Any]:
    """Sample ``n`` continuations, equally many of each prime; return what they are like.

    Only the continuation is measured, not the prime: nats per token of what the network draws, the
    fraction of pitches with an accidental (early: the first 16 pitches), whether a bar of it is
    wrong, and whether the intervals of the prime come again.
    """
    each = -(-n // len(primes))
    header = [f"M:{_METER}", f"K:C{_MODE}"]
    nats = [
        surprise(model, [[*header, *prime]])[0][len(header) : len(header) + len(prime)]
        for prime in primes
    ]
    rows = [
        row
        for place, prime in enumerate(primes)
        for row in _continuations(model, tuple(prime), each, seed + place)
    ]
    means = {
        name: _mean([row[name] for row in rows if row[name] is not None])
        for name in ("nats", "accidentals", "accidentals_early", "tokens")
    }
    kinds = ("finished", "valid", "comes_again")
    rates = {name: rate_of(sum(bool(row[name]) for row in rows), len(rows)) for name in kinds}
    return {"prime_nats": float(np.concatenate(nats).mean()), **means, **rates}


def _continuations(
    model: FolkModel, prime: tuple[str, ...], n: int, seed: int
) -> list[dict[str, Any]]:
    settings = SamplingConfig(meter=_METER, mode=_MODE, prime=prime)
    n_bars = sum(map(is_bar_line, prime))
    rows = []
    for drawn in sample(model, n, seed=seed, settings=settings):
        new = drawn.tokens[2 + len(prime) :]
        pitches = [token for token in new if _PITCH.fullmatch(token)]
        outside = [_ACCIDENTAL.fullmatch(token) is not None for token in pitches]
        tune = tune_of(model, drawn.tokens)
        measures = [] if isinstance(tune, NotationError) else classify_measures(tune)
        rows.append(
            {
                "nats": -drawn.log_probability / max(drawn.n_drawn, 1),
                "accidentals": float(np.mean(outside)) if outside else None,
                "accidentals_early": float(np.mean(outside[:16])) if outside else None,
                "tokens": len(new),
                "finished": drawn.is_finished,
                "valid": bool(measures)
                and not any(m.is_wrong_inside for m in measures if m.number > n_bars),
                "comes_again": _comes_again(prime, new),
            }
        )
    return rows


def _comes_again(prime: Sequence[str], new: Sequence[str]) -> bool:
    """Return whether the pitches of the prime's first bar come again in their order."""
    first: list[str] = []
    for token in prime:
        if is_bar_line(token) and first:
            break
        first += [token] * bool(_PITCH.fullmatch(token))
    pitches = [token for token in new if _PITCH.fullmatch(token)]
    return bool(first) and any(
        pitches[i : i + len(first)] == first for i in range(len(pitches) - len(first) + 1)
    )


def _mean(values: Sequence[float]) -> dict[str, float]:
    """Return a mean with bounds of 95 % by the normal distribution."""
    value = float(np.mean(values)) if values else 0.0
    half = 1.96 * float(np.std(values)) / max(len(values), 1) ** 0.5 if values else 0.0
    return {"value": value, "low": value - half, "high": value + half}
