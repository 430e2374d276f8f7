"""Originality: nearness is set arithmetic, planted copies are named, real tunes give the floor."""

from __future__ import annotations

import pytest

from otoscope.errors import ParameterError
from otoscope.folk.abc import Tune, transpose
from otoscope.folk.data import generate_tune
from otoscope.folk.metrics import measure_originality

Named = list[tuple[str, Tune]]


def book(seed: int, n: int) -> Named:
    return [(f"{seed}#{i}", generate_tune(seed, i)) for i in range(n)]


def grams(tune: Tune) -> set[tuple[int, ...]]:
    return {tune.intervals[i : i + 10] for i in range(len(tune.intervals) - 9)}


def test_nearness_and_percentile_are_spelled_out() -> None:
    ours, theirs, known = book(0, 6), book(1, 9), book(2, 40)

    def nearness(tune: Tune) -> float:
        return max(len(grams(tune) & grams(other)) / len(grams(tune)) for _, other in known)

    result = measure_originality(ours, theirs, known, n_draws=5)
    real = sorted(nearness(tune) for _, tune in theirs)
    assert list(result.held_out) == pytest.approx(real)
    assert len(result.generated) == 6
    for row in result.generated:
        tune = dict(ours)[row.name]
        assert row.containment == pytest.approx(nearness(tune))
        assert row.percentile == pytest.approx(
            sum(value <= row.containment + 1e-12 for value in real) / 9
        )


def test_planted_copies_in_another_key_are_found_and_named() -> None:
    known = book(2, 60)
    copies = [(f"copy {i}", transpose(known[i][1], 3)) for i in range(12)]
    result = measure_originality(copies + book(0, 12), book(1, 60), known, n_draws=400)
    assert (result.copies, result.real_copies) == (12, 0)
    assert {row.name for row in result.generated[:12]} == {name for name, _ in copies}
    assert {row.nearest for row in result.generated[:12]} == {f"2#{i}" for i in range(12)}
    assert {row.percentile for row in result.generated[:12]} == {1.0}
    for distance in result.distances:
        assert distance.p_holm < 0.05
        assert distance.floor is not None
        assert distance.value.low > distance.floor.high
    assert "12 of 24 generated tunes have half" in result.sentence


def test_near_duplicates_in_the_collection_do_not_raise_the_floor() -> None:
    known = book(2, 40)
    doubled = known + [(f"again {name}", transpose(tune, 2)) for name, tune in known]
    (ks, _) = measure_originality(book(0, 40), book(1, 40), doubled, n_draws=200).distances
    assert ks.p_holm > 0.05
    assert ks.floor is not None
    assert ks.floor.high < 0.6


def test_too_few_tunes_are_refused() -> None:
    with pytest.raises(ParameterError, match="1 generated tunes, 3 held-out ones and 0 of the"):
        measure_originality(book(0, 1), book(1, 3), [])


def test_of_equally_near_tunes_the_first_is_named() -> None:
    (tune,) = book(0, 1)
    known = [*book(1, 3), *((f"copy {i}", tune[1]) for i in range(9))]
    assert measure_originality([tune, tune], book(2, 3), known, n_draws=1).generated[0].nearest == (
        "copy 0"
    )
