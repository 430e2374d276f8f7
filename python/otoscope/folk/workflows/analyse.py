"""Compare generated tunes with real ones as populations: the first of the paper's three views."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

from otoscope import records
from otoscope.documents import document
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.folk.abc import NotationError, Tune, parse_tune
from otoscope.folk.data import group_tunes, is_prepared
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
from otoscope.folk.report.population import PopulationContent, save_population
from otoscope.folk.tokens import get_tokeniser
from otoscope.folk.workflows.book_tunes import (
    BookTune,
    left_out_notes,
    picked_notes,
    read_book_tunes,
)
from otoscope.folk.workflows.embeddings import embed_books, read_embeddings
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
_NO_TUNE = parse_tune("K:C\nC|")  # has no near duplicate


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
        return f"{self.n_generated:,} generated tunes {differ if aspects else same}."

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


def analyse_folk(settings: AnalyseFolkConfig, *, progress: Progress = silent) -> AnalyseFolkResult:
    """Compare two populations of tunes."""
    read = partial(read_book_tunes, strict=settings.strict)
    halves = not is_prepared(settings.real)
    if halves:
        held_out, train = _halves(read(settings.real), settings.seed)
    else:
        held_out = read(settings.real, splits=("valid", "test"))
        train = read(settings.real, splits=("train",))
    generated = read(settings.generated)
    return analyse_books(settings, generated, held_out, train, halves=halves, progress=progress)


def analyse_books(
    settings: AnalyseFolkConfig,
    generated: list[BookTune],
    held_out: list[BookTune],
    train: list[BookTune],
    *,
    halves: bool = False,
    progress: Progress = silent,
) -> AnalyseFolkResult:
    """Compare tunes that are read already; of the settings, the sources are only named."""
    drawn = [tune for tune in generated if not tune.is_picked]
    if generated and not drawn:
        raise ParameterError(
            f"all tunes of {settings.generated} were picked by --best: they are no sample of the "
            "model; write tunes without --best"
        )
    books = {
        "generated tunes": drawn,
        "held-out tunes": held_out,
        "training tunes": train,
    }
    checks = [
        [check_tune(tune.tune) for tune in tracked(progress, tunes, name)] if tunes else []
        for name, tunes in books.items()
    ]
    tokens = [[_tokens(tune) for tune in tunes] for tunes in books.values()]
    draws: _Draws = {"n_draws": settings.n_draws, "seed": settings.seed}
    distances = compare_tunes(*checks, tokens=tokens, **draws)
    densities, originality, missing = tuple[DensityFigure, ...](), None, list[str]()
    named = [list(_readable(tunes)) for tunes in books.values()]
    try:
        of_pairs, densities = compare_pairs(*([tune for _, tune in row] for row in named), **draws)
        distances += of_pairs
    except ParameterError as error:
        missing.append(f"Pairs of tunes are not compared: {error}.")
    try:
        originality = measure_originality(*named, **draws)
        distances += originality.distances
    except ParameterError as error:
        missing.append(f"Originality is not measured: {error}.")
    embedding, unknown = _embedding(settings, list(books.values()), progress)
    if embedding:
        distances += (embedding.distance,)
    n, m, n_train = map(len, checks)
    left_out = left_out_notes(tune for tunes in books.values() for tune in tunes)
    left_out = (*picked_notes(generated), *left_out)
    return AnalyseFolkResult(
        settings,
        n,
        m,
        n_train,
        correct_together(distances),
        halves,
        left_out,
        tune_figures(*checks[:2], tokens=tokens[:2]),
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
        about=f"{result.n_generated:,} generated tunes, {result.n_held_out:,} held-out real ones",
        record=result.to_dict(),
    )


def _embedding(
    settings: AnalyseFolkConfig, books: list[list[BookTune]], progress: Progress
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
    if settings.embedding is None:
        return None, ()
    model = load_model(settings.embedding)
    generated_tunes, held_out_tunes, train_tunes = books
    chosen = numpy_generator(settings.seed).permutation(len(train_tunes))[:_MOST_EMBEDDED]
    some = [train_tunes[i] for i in chosen.tolist()]
    (generated, n), (held_out, m), (train, _) = (
        embed_books(model, tunes) for tunes in (generated_tunes, held_out_tunes, some)
    )
    unknown = f"{n:,} generated and {m:,} held-out tunes have no embedding by {settings.embedding}."
    return compare(generated, held_out, train if len(train) > 1 else None), (unknown,) * (n + m > 0)


def _readable(tunes: list[BookTune]) -> Iterator[tuple[str, Tune]]:
    for book in tunes:
        if isinstance(book.tune, Tune):
            yield f"{book.name} {book.tune.title}".rstrip(), book.tune


def _tokens(tune: BookTune) -> list[str] | None:
    """Tokens on root C, or None."""
    if isinstance(tune.tune, NotationError):
        return None
    try:
        return get_tokeniser("v2").tokens(tune.tune)
    except NotationError:
        return None


def _halves(tunes: list[BookTune], seed: int) -> tuple[list[BookTune], list[BookTune]]:
    """Deal the tunes into halves; near duplicates are in one."""
    if len(tunes) < 4:
        raise ParameterError(f"{len(tunes)} real tunes are too few to compare with; need 4")
    groups = group_tunes(t.tune if isinstance(t.tune, Tune) else _NO_TUNE for t in tunes)
    members = defaultdict[int, list[BookTune]](list)
    for group, tune in zip(groups, tunes, strict=True):
        members[group].append(tune)
    first: dict[int, None] = dict.fromkeys(
        groups[i] for i in numpy_generator(seed).permutation(len(tunes)).tolist()
    )
    halves: tuple[list[BookTune], list[BookTune]] = ([], [])
    for group in first:
        halves[len(halves[0]) >= len(tunes) // 2].extend(members[group])
    return halves
