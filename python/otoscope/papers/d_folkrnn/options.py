"""Measure what each part of the recipe of folkrnn-small is worth, by short trainings.

All trainings read as many tokens. Nats are those of the text of held-out tunes; control tokens,
which tell the form of a tune before its text, are counted apart, and since other tokens have other
numbers of them, nats are given per tune and per note, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np

from otoscope import records
from otoscope.folk.data import SPLITS, is_prepared, load_prepared
from otoscope.folk.metrics import check_tune
from otoscope.folk.model import FolkModel, sample, surprise
from otoscope.folk.tokens import Vocabulary, get_tokeniser, write_token_file
from otoscope.folk.train import TrainFolkConfig, train_folk
from otoscope.folk.workflows.prepare import PrepareFolkConfig, prepare_folk, save_folk
from otoscope.papers.d_folkrnn._rates import rate_of
from otoscope.papers.d_folkrnn._tunes import tune_of
from otoscope.papers.output import write_record
from otoscope.progress import Progress, silent, tracked
from otoscope.report.figures import ResultTable

__all__ = ["FolkOptionsConfig", "folk_options"]

_CONTROL = re.compile("[SBE]:")
_SHARPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NAMES = ("=C", "^C", "=D", "^D", "=E", "=F", "^F", "=G", "^G", "=A", "^A", "=B")
_KEYS = (-2, -1, 0, 1, 2, 3)  # semitones
_MOST_SECTIONS = 6  # that have control tokens


@dataclass(frozen=True)
class _Option:
    """A training: changes of the recipe, and the form of its tunes."""

    changes: dict[str, Any] = field(default_factory=dict)
    tokens: str = "v2"
    copies: int = 1  # of each tune, in training


_OPTIONS = {
    "all inputs": _Option(),
    "no inputs": _Option({"inputs": ()}),
    "bar": _Option({"inputs": ("bar",)}),
    "bar and part": _Option({"inputs": ("bar", "part")}),
    "no average": _Option({"average": 0.0}),
    "no dropout": _Option({"dropout": 0.0, "input_dropout": 0.0, "weight_dropout": 0.0}),
    "control tokens": _Option(tokens="controls"),
    "v3, two keys": _Option(tokens="v3", copies=2),
    "v3, six keys": _Option(tokens="keys", copies=len(_KEYS)),
}


@dataclass(frozen=True)
class FolkOptionsConfig:
    """Tunes and length of the trainings.

    Parameters
    ----------
    sources : tuple of str
        Sources of the tunes.
    split_seed : int
        Random seed of the split.
    epochs : int
        Epochs of each training, of tunes in one key.
    precision : {"float32", "bfloat16"}
        Precision of the products in training.
    n : int
        Number of tunes sampled from each network, with seed 0.
    seed : int
        Random seed of the trainings.

    Examples
    --------
    >>> FolkOptionsConfig().epochs
    6
    """

    sources: tuple[str, ...] = ("aird", "oneill", "ryan", "misc")
    split_seed: int = 1
    epochs: int = 6
    precision: str = "bfloat16"
    n: int = 200
    seed: int = 1

    @classmethod
    def quick(cls) -> FolkOptionsConfig:
        """Return a version for a first look: one small collection, one epoch."""
        return cls(sources=("misc",), epochs=1, n=4)


def folk_options(
    settings: FolkOptionsConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the trainings and write the record.

    Parameters
    ----------
    settings : FolkOptionsConfig
        Tunes and length of the trainings.
    out : Path
        Folder for ``folk_options.json`` and a folder of each training; made if it does not exist.
    progress : bool or callable
        True shows bars over the "trainings" and the steps of each.

    Returns
    -------
    list of ResultTable
        Nats of the test tunes, and how many sampled tunes are valid, of each training.

    Raises
    ------
    MissingExtra
        If music21's tunes are not installed.

    Examples
    --------
    >>> folk_options(FolkOptionsConfig.quick(), Path("options"))  # doctest: +SKIP
    """
    out.mkdir(parents=True, exist_ok=True)
    _prepare(settings, out, progress)
    rows = {}
    for name, option in tracked(progress, list(_OPTIONS.items()), "trainings"):
        recipe = replace(
            TrainFolkConfig.small(),
            epochs=max(1, settings.epochs // option.copies),
            precision=settings.precision,
            seed=settings.seed,
            **option.changes,
        )
        folder = out / re.sub(r"\W+", "-", name)
        trained = train_folk(
            out / option.tokens, folder, settings=recipe, resume=True, progress=progress
        )
        rows[name] = {
            "steps": trained.steps,
            "test": _nats(trained.model, load_prepared(out / option.tokens).test),
            "valid": _valid(trained.model, settings.n),
        }
    record = {"settings": settings, "options": rows, "versions": records.versions()}
    write_record(out / "folk_options.json", record)
    return [_table(rows)]


def _prepare(settings: FolkOptionsConfig, out: Path, progress: Progress) -> None:
    """Write a prepared folder for each form of the tunes, where it is not there."""
    for tokens in ("v2", "v3"):
        if not is_prepared(out / tokens):
            config = PrepareFolkConfig(
                settings.sources, seed=settings.split_seed, strict=True, tokens=tokens
            )
            save_folk(prepare_folk(config, progress=progress), out / tokens)
    _rewrite(out / "v2", out / "controls", lambda tunes, _: [with_controls(tune) for tune in tunes])
    _rewrite(out / "v3", out / "keys", _in_keys)


def with_controls(tune: Sequence[str]) -> list[str]:
    """Insert control tokens before a tune's body, as TunesFormer has them.

    S: is the number of sections, B: the number of bars of a section, E: the similarity of a section
    to one before, in tenths.

    >>> " ".join(with_controls("M:2/4 K:Cmaj C 4 | D 4 :| C 4 | E 4 :|".split()))
    'M:2/4 K:Cmaj S:2 B:2 E:8 B:2 C 4 | D 4 :| C 4 | E 4 :|'
    """
    sections: list[list[str]] = [[]]
    for token in tune[2:]:
        if ":" in token:  # a repeat mark
            sections.append([])
        else:
            sections[-1].append(token)
    sections = [section for section in sections if section]
    controls = [f"S:{len(sections)}"]
    for place, section in enumerate(sections[:_MOST_SECTIONS]):
        for before in sections[:place]:
            likeness = SequenceMatcher(None, before, section, autojunk=False).ratio()
            controls.append(f"E:{int(10 * likeness)}")
        controls.append(f"B:{1 + sum('|' in token for token in section[:-1])}")
    return [*tune[:2], *controls, *tune[2:]]


def transposed(token: str, semitones: int) -> str:
    """Transpose a pitch token of v3; other tokens stay as they are.

    >>> [transposed(token, 3) for token in ("=C", "^a", "=B,", "2")]
    ['^D', "^c'", '=D', '2']
    """
    match = re.fullmatch(r"([=^])([A-Ga-g])([,']*)", token)
    if match is None:
        return token
    sign, letter, marks = match.groups()
    octave = letter.islower() + marks.count("'") - marks.count(",")
    pitch = _SHARPS[letter.upper()] + (sign == "^") + semitones + 12 * octave
    octave, place = divmod(pitch, 12)
    name = _NAMES[place]
    return name.lower() + "'" * (octave - 1) if octave > 0 else name + "," * -octave


def _in_keys(tunes: list[list[str]], split: str) -> list[list[str]]:
    """Return the tunes on C, which have copies on C sharp; for training in several keys."""
    keys = _KEYS if split == "train" else (0,)
    return [[transposed(token, key) for token in tune] for tune in tunes[::2] for key in keys]


def _rewrite(
    source: Path, target: Path, change: Callable[[list[list[str]], str], list[list[str]]]
) -> None:
    """Write a prepared folder with changed tunes."""
    prepared = load_prepared(source)
    target.mkdir(exist_ok=True)
    changed = {split: change(getattr(prepared, split), split) for split in SPLITS}
    for split, tunes in changed.items():
        write_token_file(target / f"{split}.txt", tunes)
    vocabulary = Vocabulary.of([tune for tunes in changed.values() for tune in tunes])
    records.write_text(target / "vocabulary.json", vocabulary.to_json())
    for name in ("report.json", "tunes.jsonl"):
        records.write_text(target / name, (source / name).read_text("utf-8"))


def _nats(model: FolkModel, tunes: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return nats of the text per token, tune and note, and of control tokens per tune."""
    text = controls = 0.0
    n_tokens = n_notes = 0
    tokeniser = get_tokeniser(model.tokeniser)
    for tune, nats in zip(tunes, surprise(model, tunes), strict=True):
        is_control = np.array([bool(_CONTROL.match(token)) for token in (*tune, "")])
        controls += float(nats[is_control].sum())
        text += float(nats[~is_control].sum())
        n_tokens += int((~is_control).sum())
        n_notes += len(tokeniser.tune(_text(tune)).notes)
    return {
        "per_token": text / n_tokens,
        "per_tune": text / len(tunes),
        "per_note": text / n_notes,
        "controls_per_tune": controls / len(tunes),
    }


def _valid(model: FolkModel, n: int) -> dict[str, float]:
    """Return the rate of sampled tunes that are finished, can be read and have no bad bar."""
    count = 0
    for drawn in sample(model, n):
        count += drawn.is_finished and check_tune(tune_of(model, _text(drawn.tokens))).is_valid
    return rate_of(count, n)


def _text(tokens: Sequence[str]) -> list[str]:
    return [token for token in tokens if not _CONTROL.match(token)]


def _table(rows: dict[str, dict[str, Any]]) -> ResultTable:
    cells = tuple(
        (
            name,
            f"{row['test']['per_token']:.3f}",
            f"{row['test']['per_tune']:.1f}",
            f"{row['test']['per_note']:.3f}",
            f"{row['test']['controls_per_tune']:.1f}",
            f"{100 * row['valid']['value']:.1f} %",
        )
        for name, row in rows.items()
    )
    header = ("", "per token", "per tune", "per note", "controls per tune", "valid tunes")
    return ResultTable("Nats of the test tunes, and sampled tunes without a bad bar", header, cells)
