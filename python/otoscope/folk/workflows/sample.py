"""Tunes from a network of tunes, in ABC: each with its log-probability, none dropped in silence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.folk.model import FolkModel, SampledTune, Sampling, sample_stream
from otoscope.folk.workflows._model import SHIPPED, folk_model, model_title, prime_tokens
from otoscope.folk.workflows._written_tune import WrittenTune, write_drawn
from otoscope.progress import Progress

__all__ = ["SampleFolk", "SampledFolk", "sample_folk", "save_book"]


@dataclass(frozen=True)
class SampleFolk:
    """What to draw, and how.

    Parameters
    ----------
    n : int
        Tunes, at least 1.
    model : str
        "folkrnn-small", a model's file, or the folder of a training.
    prime : str
        What every tune begins with: tokens with spaces between, or ABC on root C.
    sampling : Sampling
        Temperature, meter, mode and more; its own ``prime`` is left empty.
    seed : int
        Tune i of a seed is always the same.
    batch : int
        Tunes at a time: faster, and nothing else.

    Raises
    ------
    ParameterError
        If a number is out of its range.

    Examples
    --------
    >>> SampleFolk(n=5, prime="|: G 2 B", sampling=Sampling(meter="6/8")).model
    'folkrnn-small'
    """

    n: int = 64
    model: str = SHIPPED
    prime: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0
    batch: int = 64

    def __post_init__(self) -> None:
        """Check at the door."""
        for name, value, least in (
            ("n", self.n, 1),
            ("seed", self.seed, 0),
            ("batch", self.batch, 1),
        ):
            if value < least:
                raise ParameterError(f"{name} is {value}, must be at least {least}")


@dataclass(frozen=True, eq=False)
class SampledFolk:
    """Drawn tunes.

    Parameters
    ----------
    settings : SampleFolk
        What was asked for.
    prime : tuple of str
        The tokens that every tune begins with, after meter and key.
    tunes : tuple of WrittenTune
        In the order of their number.

    Examples
    --------
    >>> sample_folk(SampleFolk(n=2, seed=1)).abc.splitlines()[:2]  # doctest: +SKIP
    ['X:1', 'T:folkrnn-small, seed 1, tune 1']
    """

    settings: SampleFolk
    prime: tuple[str, ...]
    tunes: tuple[WrittenTune, ...]

    @property
    def abc(self) -> str:
        """All tunes, a blank line between."""
        return "\n".join(tune.abc for tune in self.tunes)

    @property
    def sentence(self) -> str:
        """How many, how many ended by themselves, and how probable they are."""
        tunes = f"{len(self.tunes):,} tune{'s' * (len(self.tunes) > 1)}"
        return (
            f"{tunes} of {model_title(self.settings.model)}, seed {self.settings.seed}: "
            f"{len(self.tunes) - len(self._unfinished):,} finished, "
            f"{self.nats_per_token:.2f} nats a token drawn."
        )

    @property
    def nats_per_token(self) -> float:
        """Negative log-probability, over the tokens that were drawn."""
        nats = sum(tune.drawn.log_probability for tune in self.tunes)
        return -nats / max(1, sum(tune.drawn.n_drawn for tune in self.tunes))

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be known."""
        return tuple(self._notes())

    def to_dict(self) -> dict[str, Any]:
        """Give everything in JSON's types."""
        plain: dict[str, Any] = json.loads(
            records.to_json(
                {
                    "settings": self.settings,
                    "prime": self.prime,
                    "tunes": [tune.to_dict() for tune in self.tunes],
                    "finished": len(self.tunes) - len(self._unfinished),
                    "no_tune": len(self._broken),
                    "nats_per_token": self.nats_per_token,
                    "masked_nats": sum(tune.drawn.masked_nats for tune in self.tunes),
                    "notes": self.notes,
                    "versions": records.versions(),
                }
            )
        )
        return plain

    @property
    def _unfinished(self) -> list[WrittenTune]:
        return [tune for tune in self.tunes if not tune.drawn.is_finished]

    @property
    def _broken(self) -> list[WrittenTune]:
        return [tune for tune in self.tunes if tune.error]

    def _notes(self) -> Iterator[str]:
        if self._unfinished:
            yield (
                f"Unfinished after {self.settings.sampling.max_tokens:,} tokens, and marked so "
                f"(N:unfinished): {_numbers(self._unfinished)}."
            )
        if self._broken:
            yield (
                f"Tokens that are no tune, written and marked so (N:no tune): "
                f"{_numbers(self._broken)}. Tune {self._broken[0].number}: {self._broken[0].error}"
            )
        if self.settings.sampling.bars_add_up:
            masked = sum(tune.drawn.masked_nats for tune in self.tunes)
            drawn = max(1, sum(tune.drawn.n_drawn for tune in self.tunes))
            yield (
                f"Making bars add up forbade {masked / len(self.tunes):.3f} nats a tune "
                f"({masked / drawn:.5f} a token): 0 if the model never wanted what is forbidden."
            )


def sample_folk(settings: SampleFolk, *, progress: Progress | None = None) -> SampledFolk:
    """Draw tunes and write them as ABC.

    Parameters
    ----------
    settings : SampleFolk
        What to draw, and how.
    progress : callable, optional
        Goes over the "tunes".

    Returns
    -------
    SampledFolk
        The same for the same seed, whatever the batch.

    Raises
    ------
    ParameterError
        If there is no such model, or it does not know the meter, the mode or a token of the prime.

    Examples
    --------
    >>> sample_folk(SampleFolk(n=64, seed=1)).sentence  # doctest: +SKIP
    '64 tunes of folkrnn-small, seed 1: 64 finished, 1.43 nats a token drawn.'
    """
    model = folk_model(settings.model)
    sampling, name = settings.sampling, model_title(settings.model)
    prime = prime_tokens(settings.prime, model, mode=sampling.mode)
    drawn = draw_tunes(settings, model, replace(sampling, prime=prime), progress)
    titles = (f"{name}, seed {settings.seed}, tune {one.index + 1}" for one in drawn)
    tunes = [
        write_drawn(one, model.tokens, title=title)
        for one, title in zip(drawn, titles, strict=True)
    ]
    return SampledFolk(settings, prime, tuple(tunes))


def draw_tunes(
    settings: SampleFolk, model: FolkModel, sampling: Sampling, progress: Progress | None
) -> list[SampledTune]:
    """Draw under a progress bar.

    Parameters
    ----------
    settings : SampleFolk
        How many, from which seed.
    model : FolkModel
        The network.
    sampling : Sampling
        How each is drawn.
    progress : callable or None
        Goes over the tunes.

    Returns
    -------
    list of SampledTune
        In the order of their index.

    Examples
    --------
    >>> draw_tunes(settings, model, sampling, None)  # doctest: +SKIP
    """
    stream = sample_stream(
        model, settings.n, seed=settings.seed, batch=settings.batch, settings=sampling
    )
    shown = progress(range(settings.n), "tunes") if progress else range(settings.n)
    drawn = [tune for _, tune in zip(shown, stream, strict=False)]
    return sorted(drawn, key=lambda tune: tune.index)


def save_book(found: SampledFolk, path: Path) -> None:
    """Write the tunes; the file is there whole or not at all.

    Parameters
    ----------
    found : SampledFolk
        Of `sample_folk`.
    path : Path
        Ends in .abc by custom.

    Raises
    ------
    OSError
        If it cannot be written, or the disk is full.

    Examples
    --------
    >>> save_book(sample_folk(SampleFolk(n=2)), Path("a.abc"))  # doctest: +SKIP
    """
    with records.replacing(path) as draft:
        draft.write_text(found.abc, "utf-8")


def _numbers(tunes: list[WrittenTune]) -> str:
    shown = ", ".join(str(tune.number) for tune in tunes[:8])
    return shown + (f" and {len(tunes) - 8} more" if len(tunes) > 8 else "")
