"""Populations with known faults: the comparison of populations should find them, and no others.

Each population is compared with held-out real tunes, in all aspects of ``otoscope folk analyse``:

- real: training tunes, which differ from held-out ones by chance only; they and their near
  duplicates are taken out of the tunes that originality is measured against;
- shuffled: the same tunes with their notes (pitch and length together) in random order. What
  depends on the order of notes must differ, and no histogram may;
- bigram: each token follows the one before as often as in training tunes;
- quick: tunes of a network without positions, trained by the quick recipe;
- the network of the package.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import numpy as np

from otoscope.errors import ParameterError
from otoscope.folk.abc import NotationError
from otoscope.folk.data import PreparedTunes, load_prepared
from otoscope.folk.metrics import PopulationDistance
from otoscope.folk.metrics.population import READABLE
from otoscope.folk.model import FolkModel, sample
from otoscope.folk.train import TrainFolkConfig, train_folk
from otoscope.folk.workflows.analyse import AnalyseFolkConfig, analyse_books
from otoscope.folk.workflows.book_tunes import BookTune, read_book_tunes, tune_of_tokens
from otoscope.folk.workflows.sample import SHIPPED, load_model
from otoscope.papers.d_folkrnn._tunes import digest, prepared_tunes
from otoscope.papers.runs import rows_of_songs, write_run
from otoscope.progress import Progress, silent
from otoscope.report.figures import COLOURS, ResultTable, svg_figure
from otoscope.report.numbers import UNKNOWN, significant
from otoscope.seeds import item_seed, numpy_generator

__all__ = ["ORDERED", "FolkPopulationConfig", "folk_population", "shuffle_notes"]

_ALPHA: Final = 0.05
_EDGE: Final = ""
_FEWEST: Final = 4  # readable tunes that are compared
_LONGEST: Final = 2000  # tokens of a tune
_NOTE: Final = re.compile(r"[\^_=]*[A-Ga-g][,']*|z")
_TUPLET: Final = re.compile(r"\((\d)(?::\d*)*")
_LENGTH: Final = re.compile(r"[\d/]+[<>]*|[<>]+")

ORDERED: Final = {
    "last degree",
    "cadence",
    "valid",
    "first pitch",
    "last pitch",
    "pitch transitions",
    "mean interval",
    "length transitions",
    "nearness",
}
"""Aspects that depend on the order of the notes; all others are histograms and counts."""


@dataclass(frozen=True)
class FolkPopulationConfig:
    """Real tunes, and sizes of the populations.

    Parameters
    ----------
    model : str
        Network of the last population: "folkrnn-small", a file, or the folder of a training.
    sources : tuple of str
        Sources that the network was trained on.
    split_seed : int
        Random seed of the split that the network was trained with.
    n : int
        Number of tunes of each population, at least 2; of real and shuffled ones, whole groups of
        near duplicates, so that there may be a few more, and at most half of the training tunes.
    epochs : int
        Number of epochs of the quick network's training.
    n_draws : int
        Number of draws of each test; with 47 distances, at least 940.
    seed : int
        Random seed.

    Raises
    ------
    ParameterError
        If a number is out of its range.

    Examples
    --------
    >>> FolkPopulationConfig().n
    400
    """

    model: str = SHIPPED
    sources: tuple[str, ...] = ("aird", "oneill", "ryan", "misc")
    split_seed: int = 1
    n: int = 400
    epochs: int = 6
    n_draws: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n < 2 or self.epochs < 1 or self.n_draws < 1:
            raise ParameterError(
                f"n is {self.n}, epochs {self.epochs} and n_draws {self.n_draws}; need at least 2, "
                "1 and 1"
            )

    @classmethod
    def quick(cls) -> FolkPopulationConfig:
        """Return a version for a first look: one small collection, few tunes."""
        return cls(sources=("misc",), n=20, epochs=1, n_draws=100)


def folk_population(
    settings: FolkPopulationConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Compare each population with held-out tunes, and write record and figure.

    Parameters
    ----------
    settings : FolkPopulationConfig
        Real tunes and sizes.
    out : Path
        Folder for ``folk_population.json``, ``folk_population.svg``, the prepared tunes and the
        quick network; made if it does not exist.
    progress : bool or callable
        True shows bars over the "populations" and the work on each.

    Returns
    -------
    list of ResultTable
        Number of aspects that tell each population from real tunes; all distances.

    Raises
    ------
    MissingExtra
        If music21's tunes or statsmodels are not installed.

    Examples
    --------
    >>> folk_population(FolkPopulationConfig.quick(), Path("populations"))  # doctest: +SKIP
    """
    folder = prepared_tunes(settings.sources, settings.split_seed, out, progress)
    prepared = load_prepared(folder)
    model = load_model(settings.model)
    held_out = read_book_tunes(folder, splits=("valid", "test"))
    train = read_book_tunes(folder, splits=("train",))
    chosen = _whole_groups(prepared, settings)
    real = [prepared.train[i] for i in chosen]
    rest = [tune for i, tune in enumerate(train) if i not in chosen]
    rng = numpy_generator(settings.seed, 1)
    populations: dict[str, Callable[[], Sequence[Sequence[str]]]] = {
        "real": lambda: real,
        "shuffled": lambda: [shuffle_notes(tune, rng) for tune in real],
        "bigram": partial(_of_bigram, prepared, settings),
        "quick": partial(_of_quick, folder, out, settings, progress),
        "model": partial(_of_model, model, settings),
    }

    def compare(index: int) -> dict[str, Any]:
        name, tokens = list(populations.items())[index]
        is_from_train = name in ("real", "shuffled")  # and no longer in what is known
        return _compared(settings, name, tokens(), held_out, rest if is_from_train else train)

    about = {"settings": settings, "model": digest(model)}
    names = list(populations)
    rows = rows_of_songs(
        out, "folk_population", about, names, compare, progress=progress, shown="populations"
    )
    compared = [row for row in rows if row["distances"]]
    tables = [_counts(rows), _distances(compared)]
    _draw(compared, out / "folk_population.svg")
    write_run(out, "folk_population", settings, tables, rows, {"ordered": sorted(ORDERED)})
    return tables


def _whole_groups(prepared: PreparedTunes, settings: FolkPopulationConfig) -> list[int]:
    """Draw training tunes, of near duplicates all or none."""
    groups = [row["group"] for row in prepared.tunes if row["split"] == "train"]
    order = numpy_generator(settings.seed).permutation(len(set(groups))).tolist()
    numbers = list(dict.fromkeys(groups))
    chosen: list[int] = []
    for place in order:
        if len(chosen) >= min(settings.n, len(groups) // 2):
            break
        chosen += [i for i, group in enumerate(groups) if group == numbers[place]]
    return chosen


def shuffle_notes(tune: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Return the tokens of a tune with its notes, rests and chords in random order.

    A note keeps its length and its tie; tuplets and the two notes of a broken rhythm stay together;
    bar lines and repeats stay where they are.

    >>> shuffle_notes("M:4/4 K:Cmaj C 2 | D :|".split(), np.random.default_rng(1))
    ['M:4/4', 'K:Cmaj', 'C', '2', '|', 'D', ':|']
    """
    frame: list[str | None] = []  # None stands for a group of notes
    groups: list[list[str]] = []
    missing = 0  # notes that the latest group still needs
    takes_length = in_chord = False
    for token in tune:
        length = takes_length and (token == "-" or _LENGTH.fullmatch(token))
        tuplet, is_note = _TUPLET.fullmatch(token), token == "[" or _NOTE.fullmatch(token)
        if in_chord or length:
            groups[-1].append(token)
            missing += bool(length) and token[-1] in "<>"
            takes_length = token == "]" if in_chord else token[-1] not in "<>-"
            in_chord = in_chord and token != "]"
        elif tuplet or is_note:
            if missing:
                groups[-1].append(token)
            else:
                frame.append(None)
                groups.append([token])
            missing = int(tuplet[1]) if tuplet else max(missing - 1, 0)
            in_chord, takes_length = token == "[", bool(is_note) and token != "["
        elif missing:  # a bar line within a group
            groups[-1].append(token)
            takes_length = False
        else:
            frame.append(token)
            takes_length = False
    dealt = iter([groups[i] for i in rng.permutation(len(groups)).tolist()])
    return [part for token in frame for part in (next(dealt) if token is None else [token])]


def _of_bigram(prepared: PreparedTunes, settings: FolkPopulationConfig) -> list[list[str]]:
    """Sample tunes in which each token follows the one before as often as in training tunes.

    Without smoothing, since a pair that never occurs (a length after a bar line) is no notation.
    """
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for known in prepared.train:
        for before, following in pairwise([_EDGE, *known, _EDGE]):
            counts[before][following] += 1
    tunes = []
    for number in range(settings.n):
        rng = np.random.default_rng(item_seed(settings.seed, "bigram", number))
        tune = list[str]()
        while len(tune) < _LONGEST:
            after = counts[tune[-1] if tune else _EDGE]
            shares = np.array(list(after.values())) / after.total()
            token = list(after)[rng.choice(len(after), p=shares)]
            if token == _EDGE:
                break
            tune.append(token)
        tunes.append(tune)
    return tunes


def _of_quick(
    folder: Path, out: Path, settings: FolkPopulationConfig, progress: Progress
) -> list[list[str]]:
    """Train the quick network, and sample its tunes."""
    recipe = TrainFolkConfig(epochs=settings.epochs, seed=settings.seed)
    trained = train_folk(folder, out / "quick", settings=recipe, resume=True, progress=progress)
    return _of_model(trained.model, settings)


def _of_model(model: FolkModel, settings: FolkPopulationConfig) -> list[list[str]]:
    return [list(drawn.tokens) for drawn in sample(model, settings.n, seed=settings.seed)]


def _compared(
    settings: FolkPopulationConfig,
    name: str,
    tokens: Sequence[Sequence[str]],
    held_out: list[BookTune],
    train: list[BookTune],
) -> dict[str, Any]:
    """Compare a population; return what is kept of the result."""
    books = [
        BookTune(f"{name}#{number}", number, tune_of_tokens(tune, "v2"))
        for number, tune in enumerate(tokens, start=1)
    ]
    readable = sum(not isinstance(book.tune, NotationError) for book in books)
    if readable < _FEWEST:
        return {"tunes": len(books), "readable": readable, "distances": []}
    config = AnalyseFolkConfig("held-out tunes", name, n_draws=settings.n_draws, seed=settings.seed)
    result = analyse_books(config, books, held_out, train)
    distances = [row for row in result.distances if row.aspect != READABLE]  # has its own column
    differs = differing_aspects(distances)
    return {
        "tunes": len(books),
        "readable": readable,
        "distances": distances,
        "ordered": _count(differs, is_ordered=True),
        "histograms": _count(differs, is_ordered=False),
    }


def differing_aspects(distances: Iterable[PopulationDistance]) -> dict[str, bool]:
    """Return for each aspect whether one of its distances is significant."""
    differs: dict[str, bool] = {}
    for distance in distances:
        differs[distance.aspect] = differs.get(distance.aspect, False) or (distance.p_holm < _ALPHA)
    return differs


def _count(differs: dict[str, bool], *, is_ordered: bool) -> dict[str, Any]:
    some = {name: found for name, found in differs.items() if (name in ORDERED) == is_ordered}
    return {
        "differ": [name for name, found in some.items() if found],
        "same": [name for name, found in some.items() if not found],
    }


def _counts(rows: Sequence[dict[str, Any]]) -> ResultTable:
    cells = tuple(
        (
            row["song"],
            f"{row['readable']:,} of {row['tunes']:,}",
            *_differing(row),
        )
        for row in rows
    )
    columns = ("population", "readable", "aspects of order", "histograms", "differ from real tunes")
    return ResultTable("Aspects that tell a population from real tunes (Holm, 5 %)", columns, cells)


def _differing(row: dict[str, Any]) -> tuple[str, str, str]:
    if not row["distances"]:
        return UNKNOWN, UNKNOWN, "too few can be read"
    counts = [
        f"{len(row[kind]['differ'])} of {len(row[kind]['differ']) + len(row[kind]['same'])}"
        for kind in ("ordered", "histograms")
    ]
    differ = [*row["ordered"]["differ"], *row["histograms"]["differ"]]
    return counts[0], counts[1], ", ".join(differ)


def _distances(rows: Sequence[dict[str, Any]]) -> ResultTable:
    """Print all distances of the populations that were compared; * marks significant ones."""
    rows = [row for row in rows if row["distances"]]
    cells = [
        (
            f"{'order: ' * (of_all[0]['aspect'] in ORDERED)}{of_all[0]['aspect']}",
            of_all[0]["kind"],
            *(
                significant(one["value"]["value"]) + "*" * (one["p_holm"] < _ALPHA)
                for one in of_all
            ),
            significant(of_all[0]["floor"]["high"]) if of_all[0]["floor"] else "",
        )
        for of_all in zip(*(row["distances"] for row in rows), strict=True)
    ]
    columns = ("aspect", "distance", *(row["song"] for row in rows), "floor, at most")
    return ResultTable("Distances from held-out real tunes", columns, tuple(cells))


def _draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the largest ratio of distance to the floor's upper bound, by aspect."""
    aspects = list(dict.fromkeys(one["aspect"] for one in rows[0]["distances"]))
    aspects.sort(key=lambda aspect: aspect not in ORDERED)
    with svg_figure(path, width=6.0, height=6.4) as figure:
        axes = figure.subplots()
        colours = (COLOURS[3], COLOURS[1], COLOURS[2], "#8a4fbf", COLOURS[0])
        for row, colour, marker in zip(rows, colours, "osD^v", strict=False):
            ratios: dict[str, float] = {}
            for one in filter(itemgetter("floor"), row["distances"]):
                ratio = one["value"]["value"] / max(one["floor"]["high"], 1e-9)
                ratios[one["aspect"]] = max(ratio, ratios.get(one["aspect"], 0.0))
            places = [place for place, aspect in enumerate(aspects) if aspect in ratios]
            values = [ratios[aspects[place]] for place in places]
            axes.plot(values, places, marker, color=colour, label=row["song"], markersize=4)
        n_ordered = sum(aspect in ORDERED for aspect in aspects)
        axes.axhline(n_ordered - 0.5, color=COLOURS[3], linewidth=0.8)
        axes.axvline(1, color=COLOURS[3], linewidth=0.8)
        axes.set_xscale("log")
        axes.set_yticks(range(len(aspects)), aspects)
        axes.invert_yaxis()
        axes.set_xlabel("distance from held-out tunes, by the upper bound of the noise floor")
        axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.4, 1.08), ncols=5)
