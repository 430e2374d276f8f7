"""Distances between tunes: densities are SciPy's, features counted by hand, plants found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np
import pytest
import scipy.stats

from otoscope.errors import ParameterError
from otoscope.folk.abc import Tune, parse_tune
from otoscope.folk.data import generate_tune
from otoscope.folk.metrics import (
    PopulationDistance,
    compare_pairs,
    density_overlap,
    pair_features,
)


@cache
def book(seed: int, n: int) -> tuple[Tune, ...]:
    return tuple(generate_tune(seed, i) for i in range(n))


def by_name(distances: tuple[PopulationDistance, ...]) -> dict[tuple[str, str], PopulationDistance]:
    return {(distance.aspect, distance.kind): distance for distance in distances}


def slow_overlap(first: list[float], second: list[float]) -> tuple[float, float]:
    """Divergence and area of two sums of Gaussians, summed over small steps."""
    p, q = (scipy.stats.gaussian_kde(sample) for sample in (first, second))
    longest = max(*first, *second)
    step = longest / 2000
    grid = np.arange(-longest, 3 * longest, step)
    a, b = p(grid), q(grid)
    tiny = 1e-12 * max(a.max(), b.max())
    a, b = np.maximum(a, tiny), np.maximum(b, tiny)
    return float((a * np.log(a / b)).sum() * step), float(np.minimum(a, b).sum() * step)


@pytest.mark.parametrize(("n", "m"), [(6, 9), (20, 31)])
def test_divergence_and_area_are_those_of_sums(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    first, second = np.abs(rng.normal(2, 1, n)), np.abs(rng.normal(3, 1.2, m))
    divergence, area = slow_overlap(first.tolist(), second.tolist())
    assert density_overlap(first, second) == pytest.approx((divergence, area), rel=2e-3, abs=1e-3)
    assert density_overlap(first, first) == pytest.approx((0, 1), abs=1e-9)


def test_distances_are_those_of_all_pairs_spelled_out() -> None:
    ours, theirs = book(0, 7), book(1, 9)
    result = by_name(compare_pairs(ours, theirs, n_draws=1)[0])
    for place, name in ((1, "pitch classes"), (4, "mean interval"), (8, "length transitions")):
        x, y = ([pair_features(tune)[place] for tune in tunes] for tunes in (ours, theirs))
        inside = [float(np.sqrt(((a - b) ** 2).sum())) for i, a in enumerate(x) for b in x[i + 1 :]]
        between = [float(np.sqrt(((a - b) ** 2).sum())) for a in x for b in y]
        divergence, area = slow_overlap(inside, between)
        measured = [
            result[name, kind].value.value for kind in ("Kullback-Leibler", "1 - overlapped area")
        ]
        assert measured == pytest.approx([divergence, 1 - area], abs=0.01, rel=0.02)


def of_notes(n: int) -> Tune:
    return parse_tune(f"L:1/8\nK:C\n{'CDEF' * (n // 4)}|")


def test_the_floor_is_that_of_all_subsets_of_training_tunes_spelled_out() -> None:
    """Training tunes differ more from each other than any of them from the other tunes."""
    held_out, train = (92, 100, 120, 140), (8, 60, 300, 420)
    sets = [[of_notes(n) for n in counts] for counts in ((88, 104, 132), held_out, train)]
    floor = by_name(compare_pairs(*sets, n_draws=400)[0])
    slow = []
    for subset in combinations(train, 3):
        inside = [float(abs(a - b)) for a, b in combinations(subset, 2)]
        slow.append(slow_overlap(inside, [float(abs(a - b)) for a in subset for b in held_out]))
    for kind, values in (
        ("Kullback-Leibler", [divergence for divergence, _ in slow]),
        ("1 - overlapped area", [1 - area for _, area in slow]),
    ):
        ours = floor["note count", kind].floor
        assert ours is not None
        assert (ours.low, ours.high) == pytest.approx((min(values), max(values)), rel=0.02)


def test_features_are_counted_by_hand() -> None:
    tune = parse_tune("M:4/4\nL:1/4\nK:G\nG2 A G/ G/|d4|")
    count, classes, transitions, width, interval, notes, gap, lengths, pairs = pair_features(tune)
    assert [float(x[0]) for x in (count, width, interval, notes)] == [3, 7, (2 + 2 + 0 + 7) / 4, 5]
    assert gap == pytest.approx(1 / 4)  # whole notes: (1/2 + 1/4 + 1/8 + 1/8) / 4
    assert np.flatnonzero(classes).tolist() == [0, 2, 7]
    assert classes[[0, 2, 7]].tolist() == [0.6, 0.2, 0.2]
    places = [12 * 0 + 2, 12 * 2 + 0, 0, 12 * 0 + 7]
    assert np.flatnonzero(transitions).tolist() == sorted(places)
    assert lengths[:5].tolist() == [0.2, 0.2, 0.2, 0.4, 0]  # whole, half, quarter, eighth, 16th
    assert pairs.sum() == pytest.approx(1)
    transposed = parse_tune("M:4/4\nL:1/4\nK:C\nC2 D C/ C/|G4|")
    both = zip(pair_features(tune), pair_features(transposed), strict=True)
    assert all(np.array_equal(a, b) for a, b in both)


def shuffled(tune: Tune, rng: np.random.Generator) -> Tune:
    """Deal the notes of a tune out to the places of notes."""
    places = [i for i, element in enumerate(tune.elements) if type(element).__name__ == "Note"]
    elements = list(tune.elements)
    for place, other in zip(places, rng.permutation(places).tolist(), strict=True):
        elements[place] = tune.elements[other]
    return replace(tune, elements=tuple(elements))


def test_shuffled_notes_differ_in_transitions_and_in_no_histogram() -> None:
    rng = np.random.default_rng(0)
    tunes = [shuffled(tune, rng) for tune in book(0, 40)]
    distances, figures = compare_pairs(tunes, book(1, 40), book(2, 60), n_draws=500)
    result = by_name(distances)
    planted = result["pitch transitions", "1 - overlapped area"]
    assert planted.p_holm < 0.05
    assert planted.floor is not None
    assert planted.value.low > planted.floor.high
    for name in ("pitch count", "pitch classes", "pitch range", "note count", "note lengths"):
        assert result[name, "1 - overlapped area"].p_holm > 0.05
    assert [figure.aspect for figure in figures] == list(dict.fromkeys(d.aspect for d in distances))
    for figure in figures:
        step = figure.distances[1] - figure.distances[0]
        for curve in (figure.generated, figure.held_out, figure.between):
            assert sum(curve) * step == pytest.approx(1, abs=0.05)


def test_order_beyond_chance_is_spelled_out() -> None:
    ours, theirs = book(0, 30), book(1, 30)

    def excess(tune: Tune, place: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Fractions of pairs, minus the products of the fractions of their members."""
        features = pair_features(tune)
        pairs, single = features[place], features[place - 1]
        return np.array(
            [pairs[12 * i + j] - single[i] * single[j] for i in range(12) for j in range(12)]
        )

    result = by_name(compare_pairs(ours, theirs, n_draws=1)[0])
    for name, place in (("pitch transitions", 2), ("length transitions", 8)):
        means = [np.mean([excess(t, place) for t in tunes], axis=0) for tunes in (ours, theirs)]
        value = result[name, "order beyond chance"].value.value
        assert value == pytest.approx(np.abs(means[0] - means[1]).sum() / 2)


def in_lengths(lengths: Sequence[int], seed: int) -> Tune:
    pitches = np.random.default_rng(seed).choice(list("CDEFGAB"), len(lengths))
    body = " ".join(f"{pitch}{length}" for pitch, length in zip(pitches, lengths, strict=True))
    return parse_tune(f"M:4/4\nL:1/8\nK:C\n{body}|")


def test_lengths_in_another_order_differ_in_order_alone() -> None:
    """From tune to tune the lengths differ more than by their order in a tune."""
    alternating = [in_lengths([1 + i % 6, 3 + i % 6] * 6, i) for i in range(40)]
    in_blocks = [in_lengths([1 + i % 6] * 6 + [3 + i % 6] * 6, i + 99) for i in range(40)]
    result = by_name(compare_pairs(alternating, in_blocks, n_draws=500)[0])
    assert result["length transitions", "order beyond chance"].p_holm < 0.05
    assert result["pitch transitions", "order beyond chance"].p_holm > 0.05
    assert result["note lengths", "1 - overlapped area"].p > 0.05


def test_tunes_all_alike_overlap_little_and_equal_sets_fully() -> None:
    same = [book(0, 1)[0]] * 8
    alike = by_name(compare_pairs(same, book(1, 30), n_draws=400)[0])
    assert alike["pitch transitions", "1 - overlapped area"].value.value > 0.5
    assert alike["pitch transitions", "Kullback-Leibler"].p_holm < 0.05
    both = by_name(compare_pairs(book(1, 30), book(1, 30), n_draws=20)[0])
    assert max(distance.value.value for distance in both.values()) < 0.1
    assert all(distance.floor is None for distance in both.values())


def test_too_few_tunes_are_refused() -> None:
    single = parse_tune("K:C\nC|")
    with pytest.raises(ParameterError, match="1 generated and 3 held-out tunes have two notes"):
        compare_pairs([book(0, 1)[0], single], book(1, 3))
    with pytest.raises(ParameterError, match="n_draws is 0"):
        compare_pairs(book(0, 3), book(1, 3), n_draws=0)
