"""The work behind the composing page, in a process of its own: tunes as JSON in, JSON out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from otoscope.errors import ParameterError
from otoscope.folk.abc import NotationError, Tune, parse_tune, to_midi
from otoscope.folk.interchange import to_musicxml
from otoscope.folk.model import SamplingConfig
from otoscope.folk.workflows.compose import ComposeConfig, Composer
from otoscope.records import to_plain
from otoscope.serve.fields import number, real, text

__all__ = ["ComposingSettings", "make_work"]

_SR = 22050


@dataclass(frozen=True)
class ComposingSettings:
    """Networks and reference tunes of the page.

    Parameters
    ----------
    models : tuple of str
        Names, files or folders of networks; the first is the default. Only these can be asked for.
    reference : tuple of str
        Collections, files or folders of tunes that the judge compares with.
    """

    models: tuple[str, ...]
    reference: tuple[str, ...] = ()


def make_work(settings: ComposingSettings) -> Callable[[Any], Iterator[Any]]:
    """Load the first network, and return the work."""
    work = _Work(settings)
    work.composer(0)
    return work


class _Work:
    def __init__(self, settings: ComposingSettings) -> None:
        self._settings = settings
        self._composers: dict[int, Composer] = {}
        self._reference: Sequence[tuple[str, Tune]] | None = None

    def __call__(self, item: Mapping[str, Any] | None) -> Iterator[Any]:
        """Yield the answer, or the `ParameterError` that belongs in its place."""
        if item is None:
            return
        try:
            yield to_plain(self._answer(item))
        except (ParameterError, NotationError) as err:
            yield ParameterError(str(err))

    def composer(self, model: int, *, with_judge: bool = False) -> Composer:
        if not 0 <= model < len(self._settings.models):
            raise ParameterError(f"model is {model}; there are {len(self._settings.models)}")
        key = model + len(self._settings.models) * with_judge
        if key not in self._composers:
            reference = self._tunes() if with_judge else ()
            self._composers[key] = Composer(self._settings.models[model], reference)
        return self._composers[key]

    def _answer(self, item: Mapping[str, Any]) -> Any:
        kind, model = item.get("kind"), number(item, "model", 0)
        if kind == "compose":
            composer = self.composer(model)
            written = composer.compose(_config(item))
            return [{**to_plain(one), "view": composer.view(one.abc).to_dict()} for one in written]
        if kind == "prime":
            self.composer(model).prime(_config(item))
            return "can be read"
        if kind == "view":
            composer = self.composer(model, with_judge=bool(item.get("judge")))
            return composer.view(text(item, "abc")).to_dict()
        if kind == "file":
            return _file(text(item, "abc"), text(item, "format"))
        raise ParameterError(f"kind is {kind!r}; it can be compose, prime, view or file")

    def _tunes(self) -> Sequence[tuple[str, Tune]]:
        """Read the reference once."""
        if self._reference is None:
            from otoscope.folk.workflows.book_tunes import read_book_tunes

            books = (tune for name in self._settings.reference for tune in read_book_tunes(name))
            self._reference = [(b.title, b.tune) for b in books if isinstance(b.tune, Tune)]
        return self._reference


def _config(item: Mapping[str, Any]) -> ComposeConfig:
    """Read settings that came from a browser; a field left empty is no setting."""
    keep = item.get("keep")
    if keep is not None and not (isinstance(keep, list) and all(type(k) is int for k in keep)):
        raise ParameterError("keep must be a list of numbers of bars")
    sampling = SamplingConfig(
        temperature=real(item, "temperature", 1.0),
        top_p=real(item, "top_p", 1.0),
        meter=text(item, "meter", "*").strip() or "*",
        mode=text(item, "mode", "*").strip() or "*",
        bars_add_up=bool(item.get("bars_add_up", True)),
        form=text(item, "form", "").strip() or None,
    )
    from_bar = item.get("from_bar")
    return ComposeConfig(
        n=number(item, "n", 1),
        seed=number(item, "seed", 0),
        sampling=sampling,
        prime=text(item, "prime", "").strip() or None,
        abc=text(item, "abc", ""),
        from_bar=None if from_bar is None else number(item, "from_bar", 1),
        keep=None if keep is None else tuple(keep),
        semitones=number(item, "semitones", 0),
    )


def _file(abc: str, form: str) -> dict[str, Any]:
    """Convert a tune to a file: type, ending and bytes."""
    tune = parse_tune(abc)
    makers: dict[str, tuple[str, Callable[[], bytes]]] = {
        "mid": ("audio/midi", partial(to_midi, tune, None)),
        "wav": ("audio/wav", partial(_wav, tune)),
        "musicxml": ("application/vnd.recordare.musicxml+xml", partial(to_musicxml, tune)),
    }
    if form not in makers:
        raise ParameterError(f"format is {form!r}; it can be {', '.join(makers)}")
    media_type, make = makers[form]
    return {"media_type": media_type, "hex": make().hex()}


def _wav(tune: Tune) -> bytes:
    import torch

    from otoscope.folk.report.sound import play_tune
    from otoscope.signal import encode_audio

    return encode_audio(torch.from_numpy(play_tune(tune, sr=_SR)), sr=_SR, format="WAV")
