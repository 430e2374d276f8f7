"""Real tunes that the experiments compare with, and what their results depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from otoscope.errors import ParameterError
from otoscope.folk.abc import NotationError, Tune
from otoscope.folk.data import is_prepared
from otoscope.folk.model import FolkModel
from otoscope.folk.workflows.book_tunes import read_book_tunes, tune_of_tokens
from otoscope.folk.workflows.prepare import PrepareFolkConfig, prepare_folk, save_folk
from otoscope.foreign import read_json
from otoscope.progress import Progress
from otoscope.records import to_plain

__all__ = ["digest", "held_out_tunes", "prepared_tunes", "training_tunes", "tune_of"]


def prepared_tunes(sources: Sequence[str], split_seed: int, out: Path, progress: Progress) -> Path:
    """Prepare the tunes in ``out/tunes``, or take those of the run before."""
    out.mkdir(parents=True, exist_ok=True)
    config = PrepareFolkConfig(tuple(sources), seed=split_seed, strict=True)
    folder = out / "tunes"
    if not is_prepared(folder):
        save_folk(prepare_folk(config, progress=progress), folder)
    elif read_json(folder / "report.json").get("settings") != to_plain(config):
        raise ParameterError(f"{folder} has tunes of other sources; name another folder")
    return folder


def training_tunes(folder: Path) -> list[tuple[str, Tune]]:
    """Read names and tunes of the training split."""
    return _read(folder, ("train",))


def held_out_tunes(folder: Path) -> list[tuple[str, Tune]]:
    """Read names and tunes of the validation and test splits."""
    return _read(folder, ("valid", "test"))


def tune_of(model: FolkModel, tokens: Sequence[str]) -> Tune | NotationError:
    """Read sampled tokens."""
    return tune_of_tokens(tokens, model.tokeniser)


def digest(model: FolkModel) -> str:
    """Return a digest of a network's weights and vocabulary."""
    content = hashlib.sha256(" ".join(model.vocabulary.tokens).encode())
    for name, weight in model.network.state_dict().items():
        content.update(name.encode() + weight.cpu().numpy().tobytes())
    return content.hexdigest()


def _read(folder: Path, splits: Sequence[str]) -> list[tuple[str, Tune]]:
    books = read_book_tunes(folder, splits=splits)
    return [(book.name, book.tune) for book in books if isinstance(book.tune, Tune)]
