"""Draw tunes from a network and write them as ABC; unfinished tunes and wrong tokens say so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from otoscope import records
from otoscope.documents import document
from otoscope.errors import ParameterError
from otoscope.folk.abc import BarLine, Form, NotationError, parse_tune
from otoscope.folk.metrics import has_form
from otoscope.folk.model import FolkModel, SampledTune, SamplingConfig, load_folkrnn, sample_stream
from otoscope.folk.tokens import get_tokeniser
from otoscope.folk.tokens.normal_form import TOKEN_MODES
from otoscope.folk.workflows.best import rank_tunes
from otoscope.folk.workflows.book_tunes import PICKED
from otoscope.folk.workflows.writing import WrittenTune, meter_of, read_key, write_tune
from otoscope.progress import Progress, silent, tracked

__all__ = [
    "SHIPPED",
    "SampleFolkConfig",
    "SampleFolkResult",
    "WrittenTune",
    "check_prime",
    "draw_tunes",
    "load_model",
    "model_title",
    "prime_tokens",
    "sample_folk",
    "save_book",
    "write_tune",
]

SHIPPED = "folkrnn-small"

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
    prime : str, optional
        Beginning of every tune: ABC on root C ('|:G2 BAB'), or tokens ('|: G 2 B').
    sampling : SamplingConfig
        Temperature, meter, mode and so on; its own ``prime`` stays empty.
    seed : int
        Random seed; tune i of a seed is always the same.
    batch : int
        Batch size; it changes the speed, not the tunes.
    key : str, optional
        Key of the tunes, as in ABC: "D" is D major unless ``mode`` is given, then "Em", "Ador";
        "D*" leaves the mode to the model. Without it they are on root C, as the model writes.
    rhythm : str, optional
        Dance: jig, reel, hornpipe, polka, slip jig, slide, waltz, mazurka, march, strathspey,
        barndance or three-two. It sets the meter, the note length and the field R:.
    best : int, optional
        Write only the tunes that the judge ranks first, this number of all.
    reference : tuple of str
        Tunes that the judge compares with: files, folders or collections.
    """

    n: int = 64
    model: str = SHIPPED
    prime: str | None = None
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    seed: int = 0
    batch: int = 64
    key: str | None = None
    rhythm: str | None = None
    best: int | None = None
    reference: tuple[str, ...] = ("aird", "oneill", "ryan", "misc")

    def __post_init__(self) -> None:
        for name, value, least in (
            ("n", self.n, 1),
            ("seed", self.seed, 0),
            ("batch", self.batch, 1),
        ):
            if value < least:
                raise ParameterError(f"{name} is {value}, must be at least {least}")
        if self.best is not None and not 1 <= self.best <= self.n:
            raise ParameterError(f"best is {self.best} of {self.n} tunes, must be in [1, {self.n}]")
        if self.prime is not None:
            check_prime(self.prime)
        _ = self.asked  # refuses a key, dance, meter and mode that exclude each other

    @property
    def asked(self) -> SamplingConfig:
        """Sampling with the meter of the dance and the mode of the key."""
        sampling = self.sampling
        if self.rhythm is not None:
            sampling = replace(sampling, meter=meter_of(self.rhythm, sampling.meter))
        if self.key is None:
            return sampling
        mode = read_key(self.key)[1]
        if sampling.mode == "*":
            return replace(sampling, mode=mode or "maj")
        if mode not in ("", "*", sampling.mode):
            raise ParameterError(
                f"key is {self.key!r} and mode {sampling.mode!r}; give one of both"
            )
        return sampling


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
        Tunes that were drawn, by their number; all figures are theirs.
    picked : tuple of WrittenTune, optional
        Tunes that the judge ranks first, from the first; None if none were picked.
    """

    settings: SampleFolkConfig
    prime: tuple[str, ...]
    tunes: tuple[WrittenTune, ...]
    picked: tuple[WrittenTune, ...] | None = None

    @property
    def written(self) -> tuple[WrittenTune, ...]:
        """The tunes that are written: the picked ones, or all."""
        return self.tunes if self.picked is None else self.picked

    @property
    def abc(self) -> str:
        """The written tunes, with a blank line between."""
        return "\n".join(tune.abc for tune in self.written)

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
        if rules := self._rules:
            nats = self._masked_nats / len(self.tunes)
            notes.append(
                f"The mask that {' and '.join(rules)} took {nats:.3f} nats per tune "
                f"({self._masked_nats / self._n_drawn:.5f} per token); 0 if the model "
                "keeps the rules by itself."
            )
        if self._form:
            notes.append(
                f"{self._n_with_form:,} of {len(self.tunes):,} tunes have the form "
                f"{self._form.text}."
            )
        if self.settings.key and self.settings.asked.mode == "*":
            modes = Counter(tune.tune.key.mode for tune in self.tunes if tune.tune)
            drawn = ", ".join(f"{mode} {n:,}" for mode, n in modes.most_common())
            notes.append(f"Modes that the model chose: {drawn or 'none'}.")
        if self.picked is not None:
            notes.append(
                f"Written: the {len(self.picked):,} of {len(self.tunes):,} tunes that the judge "
                "ranks first, marked so (N:picked). All figures are of the tunes drawn: picked "
                "ones say nothing of the model, so folk check gives no rates of them, and folk "
                "analyse refuses them."
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
                "tunes": [tune.to_dict() for tune in self.written],
                "of": len(self.tunes),
                "with_form": self._n_with_form if self._form else None,
                "finished": len(self.tunes) - len(self._unfinished),
                "no_tune": len(self._broken),
                "nats_per_token": self.nats_per_token,
                "masked_nats": self._masked_nats,
                "notes": self.notes,
                "versions": records.versions(),
            },
        )

    @property
    def _form(self) -> Form | None:
        text = self.settings.sampling.form
        return Form.parse(text) if text else None

    @property
    def _rules(self) -> list[str]:
        """Say what the mask does."""
        bars = ["makes bars add up"] if self.settings.sampling.bars_add_up else []
        return [*bars, *([f"gives the form {self._form.text}"] if self._form else [])]

    @property
    def _n_with_form(self) -> int:
        return sum(
            tune.tune is not None and has_form(tune.tune, self._form)
            for tune in self.tunes
            if self._form
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
    asked = settings.asked
    if model.tokeniser == "v1" and settings.key and asked.mode != "*":
        raise ParameterError(
            f"key is {settings.key!r}, but a model of characters chooses the mode: give "
            f"{read_key(settings.key)[0]}*"
        )
    prime = prime_tokens(settings.prime or "", model, mode=asked.mode)
    sampled = draw_tunes(settings, model, replace(asked, prime=prime), progress)
    tunes = tuple(_written(tune, settings, model.tokeniser) for tune in sampled)
    if settings.best is None:
        return SampleFolkResult(settings, prime, tunes)
    finished = [tune.tune if tune.sampled.is_finished else None for tune in tunes]
    ranked = [one for one in rank_tunes(finished, settings.reference) if one.judgement is not None]
    picked = (
        _written(
            tunes[one.index].sampled,
            settings,
            model.tokeniser,
            notes=(f"{PICKED} rank {rank} of {len(tunes)} by the judge",),
        )
        for rank, one in enumerate(ranked[: settings.best], start=1)
    )
    return SampleFolkResult(settings, prime, tunes, tuple(picked))


def _written(
    sampled: SampledTune, settings: SampleFolkConfig, version: str, notes: Sequence[str] = ()
) -> WrittenTune:
    name = f"{model_title(settings.model)}, seed {settings.seed}"
    return write_tune(
        sampled,
        version,
        title=f"{name}, tune {sampled.index + 1}",
        notes=notes,
        tonic=read_key(settings.key)[0] if settings.key else None,
        rhythm=settings.rhythm,
    )


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


def check_prime(text: str) -> None:
    """Refuse an empty prime."""
    if not text.strip():
        raise ParameterError(
            f"prime is {text!r}, must be ABC on root C or tokens; leave it out for none"
        )


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
