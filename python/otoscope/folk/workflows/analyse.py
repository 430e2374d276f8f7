"""Compare generated tunes with real ones as populations: the first of the paper's three views."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from otoscope import records
from otoscope.documents import document
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.folk.abc import NotationError
from otoscope.folk.abc.ngrams import Melody
from otoscope.folk.data import group_tunes, halve_groups, is_prepared
from otoscope.folk.metrics import (
    AspectFigure,
    DensityFigure,
    EmbeddingDistance,
    Originality,
    PopulationDistance,
    check_tune,
    compare_embeddings,
    compare_pairs,
    compare_tunes,
    measure_originality,
    tune_figures,
)
from otoscope.folk.metrics.aspects import correct_together
from otoscope.folk.metrics.overlap import PairMelody
from otoscope.folk.metrics.population import TuneRow
from otoscope.folk.model import FolkModel
from otoscope.folk.report.counts import notes_on_voices
from otoscope.folk.report.population import PopulationContent, save_population
from otoscope.folk.workflows.book_tunes import (
    BookTune,
    note_of_picked,
    stream_book_tunes,
)
from otoscope.folk.workflows.embeddings import (
    book_tokens,
    embed_books,
    model_ids,
    read_embeddings,
)
from otoscope.folk.workflows.sample import load_model
from otoscope.progress import Progress, silent, tracked
from otoscope.seeds import numpy_generator

__all__ = [
    "AnalyseFolkConfig",
    "AnalyseFolkResult",
    "analyse_books",
    "analyse_folk",
    "save_analysis",
]

_ALPHA = 0.05
_MOST_EMBEDDED = 1000  # training tunes, for the noise floor
_NO_MELODY = Melody(array("I"), b"")  # has no near duplicate


class _Draws(TypedDict):
    n_draws: int
    seed: int


@dataclass(frozen=True)
class AnalyseFolkConfig:
    """Two populations of tunes to compare.

    Parameters
    ----------
    real : str
        Real tunes. For a prepared folder the held-out tunes are compared, and the training tunes
        give the noise floor. A file of ABC or of tokens, a folder of ABC files or a collection is
        split into random halves for these two.
    generated : str
        Generated tunes: a file of ABC or of tokens, or a folder of ABC files.
    embedding : str, optional
        Network whose hidden states are embeddings of the tunes, for the Frechet music distance:
        "folkrnn-small", a file, or the folder of a training.
    real_embeddings, generated_embeddings : Path, optional
        Embeddings of the tunes by another model, for the Frechet music distance: files (.npy, .npz)
        with an array [tune, column] each.
    n_draws : int
        Number of draws of the bootstrap, of the permutation test and of the noise floor.
    seed : int
        Random seed of the draws and of the halves.
    strict : bool
        Refuse tunes that are not read whole: second voices, overlays, directives on pitches.
    """

    real: str
    generated: str
    embedding: str | None = None
    real_embeddings: Path | None = None
    generated_embeddings: Path | None = None
    n_draws: int = 2000
    seed: int = 0
    strict: bool = False


@dataclass(frozen=True, eq=False)
class AnalyseFolkResult:
    """Distances of generated from real tunes.

    Parameters
    ----------
    settings : AnalyseFolkConfig
        Settings of the comparison.
    n_generated, n_held_out, n_train : int
        Numbers of tunes, unreadable ones included.
    unreadable : (int, int)
        Numbers of generated and of held-out tunes that cannot be read.
    distances : tuple of PopulationDistance
        Distances by aspect.
    halves : bool
        Whether the held-out tunes are a random half, which the model may have been trained on.
    left_out : tuple of str
        Notes on picked tunes, and on tunes of which voices were left out.
    figures : tuple of AspectFigure
        Distributions of generated and held-out tunes by aspect.
    densities : tuple of DensityFigure
        Densities of the distances between tunes by feature.
    originality : Originality, optional
        How near generated and held-out tunes are to the training tunes; None if they are too few.
    embedding : EmbeddingDistance, optional
        Frechet music distance; None without embeddings.
    missing : tuple of str
        Notes on what was not compared.
    """

    settings: AnalyseFolkConfig
    n_generated: int
    n_held_out: int
    n_train: int
    unreadable: tuple[int, int]
    distances: tuple[PopulationDistance, ...]
    halves: bool
    left_out: tuple[str, ...] = ()
    figures: tuple[AspectFigure, ...] = ()
    densities: tuple[DensityFigure, ...] = ()
    originality: Originality | None = None
    embedding: EmbeddingDistance | None = None
    missing: tuple[str, ...] = ()

    @property
    def significant(self) -> tuple[PopulationDistance, ...]:
        """Distances that are significant at 5 % after Holm's correction."""
        return tuple(distance for distance in self.distances if distance.p_holm < _ALPHA)

    @property
    def sentence(self) -> str:
        """Aspects in which the generated tunes differ from real ones."""
        aspects = list(dict.fromkeys(distance.aspect for distance in self.significant))
        differ = f"differ from {self.n_held_out:,} real ones in {', '.join(aspects)}"
        same = f"cannot be told from {self.n_held_out:,} real ones by these distances"
        n, m, (bad, bad_real) = self.n_generated, self.n_held_out, self.unreadable
        text = f"{n:,} generated tunes {differ if aspects else same}."
        if not bad and not bad_real:
            return text
        return f"{text} Of these {n - bad:,} and {m - bad_real:,} can be read, and are compared."

    @property
    def notes(self) -> tuple[str, ...]:
        """Limits of the comparison."""
        original = (self.originality.sentence,) if self.originality else ()
        embedded = self.embedding.notes if self.embedding else ()
        first = (*original, *self._few_draws, *embedded, *self.missing)
        if not self.halves:
            return (*first, *self.left_out)
        return (
            *first,
            f"{self.settings.real} is not a prepared folder: held-out tunes and those of the "
            "floor are two random halves of it. A model trained on them has an unfair advantage.",
            *self.left_out,
        )

    @property
    def _few_draws(self) -> tuple[str, ...]:
        """Say so if no p can be small enough: it is at least 1 / (draws + 1)."""
        n, draws = len(self.distances), self.settings.n_draws
        if n < _ALPHA * (1 + draws):
            return ()
        return (
            f"With {draws:,} draws none of {n} distances can be significant; take --draws "
            f"{round(n / _ALPHA):,} or more.",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the result in JSON's types."""
        return document(
            "otoscope.AnalyseFolk",
            2,
            {
                "settings": self.settings,
                "generated": self.n_generated,
                "held_out": self.n_held_out,
                "train": self.n_train,
                "unreadable": dict(zip(("generated", "held_out"), self.unreadable, strict=True)),
                "distances": self.distances,
                "figures": self.figures,
                "densities": self.densities,
                "originality": self.originality,
                "embedding": self.embedding,
                "sentence": self.sentence,
                "notes": self.notes,
                "versions": records.versions(),
            },
        )


class _Row(NamedTuple):
    """Facts of a tune that are compared, without the tune; Nones if it cannot be read."""

    name: str
    is_picked: bool
    notices: tuple[str, ...]
    aspects: TuneRow | None = None
    pairs: PairMelody | None = None
    named: tuple[str, Melody] | None = None
    ids: array[int] | None = None  # for embeddings by a model


class _Reader:
    """Reader of tunes, one after the other, to rows; loads the model of embeddings."""

    def __init__(self, settings: AnalyseFolkConfig, progress: Progress) -> None:
        self.model = load_model(settings.embedding) if settings.embedding else None
        self._progress = progress

    def rows(self, tunes: Iterable[BookTune], name: str) -> list[_Row]:
        """Read all tunes."""
        if isinstance(tunes, Sized) and not len(tunes):
            return []
        return [self._row(tune) for tune in tracked(self._progress, tunes, name)]

    def _row(self, book: BookTune) -> _Row:
        tune = book.tune
        row = _Row(book.name, book.is_picked, book.notices)
        features = check_tune(tune).features
        if isinstance(tune, NotationError) or not features:
            return row
        return row._replace(
            aspects=TuneRow.of(features, book_tokens(book, "v2")),
            pairs=PairMelody.of(tune),
            named=(f"{book.name} {tune.title}".rstrip(), Melody.of(tune)),
            ids=model_ids(self.model, book) if self.model else None,
        )


def analyse_folk(settings: AnalyseFolkConfig, *, progress: Progress = silent) -> AnalyseFolkResult:
    """Compare two populations of tunes; no more than one parsed tune is held at a time."""
    reader, strict = _Reader(settings, progress), settings.strict
    halves = not is_prepared(settings.real)
    real = partial(stream_book_tunes, settings.real, strict=strict)
    if halves:
        held_out, train = _halves(reader.rows(real(), "real tunes"), settings.seed)
    else:
        held_out = reader.rows(real(splits=("valid", "test")), "held-out tunes")
        train = reader.rows(real(splits=("train",)), "training tunes")
    tunes = stream_book_tunes(settings.generated, strict=strict)
    generated = reader.rows(tunes, "generated tunes")
    return _analyse(settings, (generated, held_out, train), reader.model, halves, progress)


def analyse_books(
    settings: AnalyseFolkConfig,
    generated: list[BookTune],
    held_out: list[BookTune],
    train: list[BookTune],
    *,
    progress: Progress = silent,
) -> AnalyseFolkResult:
    """Compare tunes that are read already; of the settings, the sources are only named."""
    reader, names = _Reader(settings, progress), ("generated", "held-out", "training")
    books = [
        reader.rows(tunes, f"{name} tunes")
        for name, tunes in zip(names, (generated, held_out, train), strict=True)
    ]
    return _analyse(settings, books, reader.model, False, progress)


def _analyse(
    settings: AnalyseFolkConfig,
    books: Sequence[list[_Row]],
    model: FolkModel | None,
    halves: bool,
    progress: Progress,
) -> AnalyseFolkResult:
    """Compare generated, held-out and training tunes."""
    generated, held_out, train = books
    drawn = [tune for tune in generated if not tune.is_picked]
    if generated and not drawn:
        raise ParameterError(
            f"all tunes of {settings.generated} were picked by --best: they are no sample of the "
            "model; write tunes without --best"
        )
    books = drawn, held_out, train
    aspects = [[tune.aspects for tune in tunes] for tunes in books]
    draws: _Draws = {"n_draws": settings.n_draws, "seed": settings.seed}
    distances = compare_tunes(*aspects, **draws)
    densities, originality, missing = tuple[DensityFigure, ...](), None, list[str]()
    try:
        pairs = ([tune.pairs for tune in tunes if tune.pairs] for tunes in books)
        of_pairs, densities = compare_pairs(*pairs, **draws)
        distances += of_pairs
    except ParameterError as error:
        missing.append(f"Pairs of tunes are not compared: {error}.")
    try:
        named = ([tune.named for tune in tunes if tune.named] for tunes in books)
        originality = measure_originality(*named, **draws)
        distances += originality.distances
    except ParameterError as error:
        missing.append(f"Originality is not measured: {error}.")
    embedding, unknown = _embedding(settings, books, model, progress)
    if embedding:
        distances += (embedding.distance,)
    n, m, n_train = map(len, books)
    n_picked = len(generated) - len(drawn)
    left_out = notes_on_voices((tune.name, tune.notices) for tunes in books for tune in tunes)
    return AnalyseFolkResult(
        settings,
        n,
        m,
        n_train,
        (aspects[0].count(None), aspects[1].count(None)),
        correct_together(distances),
        halves,
        (*note_of_picked(n_picked, are_counted=False), *left_out),
        tune_figures(*aspects[:2]),
        densities,
        originality,
        embedding,
        (*missing, *unknown),
    )


def save_analysis(result: AnalyseFolkResult, path: Path) -> None:
    """Write a page with a figure of each aspect, its distances, and the noise floor."""
    save_population(
        PopulationContent(
            result.distances,
            result.figures,
            result.densities,
            result.originality,
            result.embedding,
        ),
        path,
        title=f"{Path(result.settings.generated).name} beside {Path(result.settings.real).name}",
        about=result.sentence,
        record=result.to_dict(),
    )


def _embedding(
    settings: AnalyseFolkConfig,
    books: Sequence[list[_Row]],
    model: FolkModel | None,
    progress: Progress,
) -> tuple[EmbeddingDistance | None, tuple[str, ...]]:
    """Measure the Frechet music distance; say how many tunes have no embedding."""
    files = settings.generated_embeddings, settings.real_embeddings
    compare = partial(
        compare_embeddings, n_draws=settings.n_draws, seed=settings.seed, progress=progress
    )
    if files[0] is not None and files[1] is not None:
        if settings.embedding is not None:
            raise ParameterError("embeddings are given by a model and by files; need one of them")
        return compare(read_embeddings(files[0]), read_embeddings(files[1])), ()
    if any(files):
        side = "real" if files[0] else "generated"
        raise ParameterError(
            f"there are no embeddings of the {side} tunes",
            advice=Advice("give them with ", Argument(f"{side}_embeddings")),
        )
    if model is None:
        return None, ()
    generated_tunes, held_out_tunes, train_tunes = books
    chosen = numpy_generator(settings.seed).permutation(len(train_tunes))[:_MOST_EMBEDDED]
    some = [train_tunes[i] for i in chosen.tolist()]
    (generated, n), (held_out, m), (train, _) = (
        embed_books(model, [tune.ids for tune in tunes])
        for tunes in (generated_tunes, held_out_tunes, some)
    )
    unknown = f"{n:,} generated and {m:,} held-out tunes have no embedding by {settings.embedding}."
    return compare(generated, held_out, train if len(train) > 1 else None), (unknown,) * (n + m > 0)


def _halves(tunes: list[_Row], seed: int) -> tuple[list[_Row], list[_Row]]:
    """Deal the tunes into halves; near duplicates are in one."""
    if len(tunes) < 4:
        raise ParameterError(f"{len(tunes)} real tunes are too few to compare with; need 4")
    groups = group_tunes(tune.named[1] if tune.named else _NO_MELODY for tune in tunes)
    first, second = halve_groups(groups, seed)
    return [tunes[i] for i in first], [tunes[i] for i in second]
