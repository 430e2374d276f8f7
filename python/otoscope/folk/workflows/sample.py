"""Draw tunes from a network and write them as ABC; unfinished tunes and wrong tokens say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from otoscope import records
from otoscope.documents import document
from otoscope.errors import ParameterError
from otoscope.folk.abc import BarLine, NotationError, parse_tune, to_abc, transpose
from otoscope.folk.model import FolkModel, SampledTune, SamplingConfig, load_folkrnn, sample_stream
from otoscope.folk.tokens import get_tokeniser
from otoscope.folk.tokens.normal_form import TOKEN_MODES
from otoscope.progress import Progress, silent, tracked

__all__ = [
    "SHIPPED",
    "SampleFolkConfig",
    "SampleFolkResult",
    "WrittenTune",
    "draw_tunes",
    "load_model",
    "model_title",
    "prime_tokens",
    "sample_folk",
    "save_book",
    "write_tune",
]

SHIPPED = "folkrnn-small"

_BARS = frozenset("|:")
_LENGTH = frozenset("0123456789/")
_TAKES_LENGTH = frozenset("ABCDEFGabcdefgz,']")
_HEADER_LINES = 3
_LISTED = 8


@dataclass(frozen=True)
class SampleFolkConfig:
    """Number of tunes, network and sampling.

    Parameters
    ----------
    n : int
        Number of tunes, at least 1.
    model : str
        "folkrnn-small", the file of a network, or the folder of a training.
    prime : str
        Beginning of every tune: ABC on root C ('|:G2 BAB'), or tokens ('|: G 2 B').
    sampling : SamplingConfig
        Temperature, meter, mode and so on; its own ``prime`` stays empty.
    seed : int
        Random seed; tune i of a seed is always the same.
    batch : int
        Batch size; it changes the speed, not the tunes.
    """

    n: int = 64
    model: str = SHIPPED
    prime: str = ""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    seed: int = 0
    batch: int = 64

    def __post_init__(self) -> None:
        for name, value, least in (
            ("n", self.n, 1),
            ("seed", self.seed, 0),
            ("batch", self.batch, 1),
        ):
            if value < least:
                raise ParameterError(f"{name} is {value}, must be at least {least}")


@dataclass(frozen=True)
class WrittenTune:
    """A sampled tune and its ABC.

    Parameters
    ----------
    number : int
        Number of the tune in its file (X:), from 1.
    title : str
        Title (T:).
    sampled : SampledTune
        Tokens and log-probability.
    abc : str
        ABC; ends in a newline.
    error : str
        Reason why the tokens are not a tune, and place (line 3 is the tune's body), or "".
    """

    number: int
    title: str
    sampled: SampledTune
    abc: str
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return a row in JSON's types."""
        sampled = self.sampled
        return {
            "number": self.number,
            "title": self.title,
            "finished": sampled.is_finished,
            "log_probability": sampled.log_probability,
            "drawn": sampled.n_drawn,
            "masked_nats": sampled.masked_nats,
            "error": self.error or None,
            "tokens": sampled.tokens,
            "abc": self.abc,
        }


@dataclass(frozen=True, eq=False)
class SampleFolkResult:
    """Sampled tunes.

    Parameters
    ----------
    settings : SampleFolkConfig
        Number of tunes, network and sampling.
    prime : tuple of str
        Tokens that every tune begins with, after meter and key.
    tunes : tuple of WrittenTune
        Tunes by their number.
    """

    settings: SampleFolkConfig
    prime: tuple[str, ...]
    tunes: tuple[WrittenTune, ...]

    @property
    def abc(self) -> str:
        """All tunes, with a blank line between."""
        return "\n".join(tune.abc for tune in self.tunes)

    @property
    def nats_per_token(self) -> float:
        """Negative log-probability per token drawn."""
        nats = sum(tune.sampled.log_probability for tune in self.tunes)
        return -nats / self._n_drawn

    @property
    def sentence(self) -> str:
        """Number of tunes, number of finished tunes, and their nats per token."""
        tunes = f"{len(self.tunes):,} tune{'s' * (len(self.tunes) > 1)}"
        return (
            f"{tunes} of {model_title(self.settings.model)}, seed {self.settings.seed}: "
            f"{len(self.tunes) - len(self._unfinished):,} finished, "
            f"{self.nats_per_token:.2f} nats per token drawn."
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Unfinished tunes, tokens that are not tunes, and the effect of the mask."""
        notes = []
        if self._unfinished:
            notes.append(
                f"Unfinished after {self.settings.sampling.max_tokens:,} tokens, and marked so "
                f"(N:unfinished): {_numbers(self._unfinished)}."
            )
        if self._broken:
            notes.append(
                f"Tokens that are no tune, written and marked so (N:no tune): "
                f"{_numbers(self._broken)}. Tune {self._broken[0].number}: {self._broken[0].error}"
            )
        if self.settings.sampling.bars_add_up:
            notes.append(
                f"The mask that makes bars add up took {self._masked_nats / len(self.tunes):.3f} "
                f"nats per tune ({self._masked_nats / self._n_drawn:.5f} per token); 0 if the "
                "model gave forbidden tokens no probability."
            )
        return tuple(notes)

    def to_dict(self) -> dict[str, Any]:
        """Return the result in JSON's types."""
        return document(
            "otoscope.SampleFolk",
            2,
            {
                "settings": self.settings,
                "prime": self.prime,
                "tunes": [tune.to_dict() for tune in self.tunes],
                "finished": len(self.tunes) - len(self._unfinished),
                "no_tune": len(self._broken),
                "nats_per_token": self.nats_per_token,
                "masked_nats": self._masked_nats,
                "notes": self.notes,
                "versions": records.versions(),
            },
        )

    @property
    def _unfinished(self) -> list[WrittenTune]:
        return [tune for tune in self.tunes if not tune.sampled.is_finished]

    @property
    def _broken(self) -> list[WrittenTune]:
        return [tune for tune in self.tunes if tune.error]

    @property
    def _n_drawn(self) -> int:
        return max(1, sum(tune.sampled.n_drawn for tune in self.tunes))

    @property
    def _masked_nats(self) -> float:
        return sum(tune.sampled.masked_nats for tune in self.tunes)


def sample_folk(settings: SampleFolkConfig, *, progress: Progress = silent) -> SampleFolkResult:
    """Draw tunes and write them as ABC."""
    model = load_model(settings.model)
    prime = prime_tokens(settings.prime, model, mode=settings.sampling.mode)
    sampled = draw_tunes(settings, model, replace(settings.sampling, prime=prime), progress)
    name = f"{model_title(settings.model)}, seed {settings.seed}"
    tunes = [
        write_tune(tune, model.tokeniser, title=f"{name}, tune {tune.index + 1}")
        for tune in sampled
    ]
    return SampleFolkResult(settings, prime, tuple(tunes))


def save_book(result: SampleFolkResult, path: Path) -> None:
    """Write the tunes to a file, whole or not at all."""
    records.write_text(path, result.abc)


def load_model(name: str) -> FolkModel:
    """Load a network by its name, its file, or the folder of its training."""
    path = Path(name)
    try:
        return load_folkrnn(path / "model" if (path / "model.json").is_file() else name)
    except ParameterError as err:
        if name == SHIPPED and not path.with_suffix(".json").exists():
            raise ParameterError(
                f"{name} does not come with this installation; train a model "
                "(otoscope folk train DIR --out MODEL) and name that"
            ) from err
        raise


def model_title(name: str) -> str:
    """Return the name of a network for titles: its file or folder, without ending."""
    return " ".join(Path(name).name.removesuffix(".json").removesuffix(".safetensors").split())


def draw_tunes(
    settings: SampleFolkConfig, model: FolkModel, sampling: SamplingConfig, progress: Progress
) -> list[SampledTune]:
    """Draw tunes; return them by their index."""
    stream = sample_stream(
        model, settings.n, seed=settings.seed, batch=settings.batch, settings=sampling
    )
    shown = tracked(progress, range(settings.n), "tunes")
    tunes = [tune for _, tune in zip(shown, stream, strict=False)]
    return sorted(tunes, key=lambda tune: tune.index)


def write_tune(
    sampled: SampledTune,
    version: str,
    *,
    title: str,
    notes: Sequence[str] = (),
    semitones: int = 0,
) -> WrittenTune:
    """Write a sampled tune as ABC, transposed if it is a tune; N: fields tell its faults."""
    number = sampled.index + 1
    if not sampled.is_finished:
        notes = [*notes, f"unfinished: broken off after {len(sampled.tokens)} tokens"]
    fields = [("T", title), *(("N", note) for note in notes)]
    try:
        tune = get_tokeniser(version).tune(sampled.tokens)
    except NotationError as err:
        fields.append(("N", f"no tune: {err}"))
        head = [f"X:{number}", *(f"{letter}:{text}" for letter, text in fields)]
        abc = "\n".join([*head, *_raw_lines(sampled.tokens, version)])
        return WrittenTune(number, title, sampled, f"{abc}\n", str(err))
    if semitones:
        tune = transpose(tune, semitones)
    tune = replace(tune, headers=(*fields, *tune.headers))  # a v1 tune has a title of its own
    return WrittenTune(number, title, sampled, to_abc(tune, number))


def _raw_lines(tokens: Sequence[str], version: str) -> list[str]:
    """Write tokens that are not a tune as lines of ABC in which the fault stays visible."""
    if version == "v1":
        return [line for line in "".join(tokens).split("\n") if line.strip()]
    meter, key, *body = tokens
    text = "".join(body[:1])
    for before, token in pairwise(body):
        is_stray = token[0] in _LENGTH and before[-1] not in _TAKES_LENGTH
        is_bar = token[0] in _BARS or before[0] in _BARS
        text += f" {token}" if is_stray or is_bar else token
    return [meter, "L:1/8", key if key[2:3] == "C" else f"K:C{key[2:]}", text.strip() or "|"]


def prime_tokens(text: str, model: FolkModel, *, mode: str) -> tuple[str, ...]:
    """Read a prime: the model's tokens with spaces between, ABC on root C, or characters (v1)."""
    if model.tokeniser == "v1":
        return tuple(text)
    words = tuple(text.split())
    if fields := [word for word in words if word.startswith(("M:", "K:"))]:
        raise ParameterError(f"prime holds {fields[0]}; give it as the meter or the mode")
    if all(word in model.vocabulary for word in words):
        return words
    # The meter does not change the tokens; the mode decides which pitches need an accidental.
    header = f"M:4/4\nL:1/8\nK:C{mode if mode in TOKEN_MODES else 'maj'}\n"
    try:
        tune = parse_tune(header + text)
        tokens = get_tokeniser(model.tokeniser).tokens(tune)[2:]
    except NotationError as err:
        line, column = (err.line or 0) - _HEADER_LINES, err.column
        place = f"line {line}, " * (line > 1) + f"column {column}: " if column else ""
        raise ParameterError(f"prime {text!r}: {place}{err.message}") from err
    is_open = not isinstance(tune.elements[-1], BarLine)
    return tuple(tokens[:-1] if is_open and tokens[-1] == "|" else tokens)


def _numbers(tunes: list[WrittenTune]) -> str:
    listed = ", ".join(str(tune.number) for tune in tunes[:_LISTED])
    return listed + (f" and {len(tunes) - _LISTED} more" if len(tunes) > _LISTED else "")
