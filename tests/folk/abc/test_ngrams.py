"""The index of interval n-grams: containment by its definition, planted copies, groups."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.folk.abc import Key, Meter, NgramIndex, Note, Tune, parse_tune, transpose
from otoscope.folk.abc.ngrams import Melody
from tests.support.examples import examples

EIGHTH = Fraction(1, 8)


def melody(steps: list[int], *, line: int = 1) -> Tune:
    notes = [Note(step, 0, EIGHTH, line=line, column=i + 1) for i, step in enumerate(steps)]
    return Tune(tuple(notes), Key("C", "maj"), Meter.parse("C"))


def walks(count: int, length: int = 64, seed: int = 0) -> list[list[int]]:
    """Random melodies within two octaves."""
    rng = np.random.default_rng(seed)
    return [[int(x) for x in rng.integers(-3, 12, length)] for _ in range(count)]


def containment_by_definition(asked: Tune, other: Tune, n: int) -> float:
    """The share of the distinct runs of n intervals that the other has as well."""
    runs, theirs = (
        {t.intervals[i : i + n] for i in range(len(t.intervals) - n + 1)} for t in (asked, other)
    )
    return len(runs & theirs) / len(runs) if runs else 0.0


@examples(100)
@given(
    st.lists(st.integers(0, 3), min_size=2, max_size=30),
    st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=30), min_size=1, max_size=5),
    st.integers(1, 4),
)
def test_containment_is_that_of_definition(
    asked: list[int], others: list[list[int]], n: int
) -> None:
    index = NgramIndex(n)
    for number, other in enumerate(others):
        index.add(str(number), melody(other))
    containments = {x.name: x.containment for x in index.nearest(melody(asked), k=len(others))}
    for number, other in enumerate(others):
        expected = containment_by_definition(melody(asked), melody(other), n)
        assert containments.get(str(number), 0.0) == expected
    assert list(containments.values()) == sorted(containments.values(), reverse=True)


@pytest.fixture(scope="module")
def library() -> NgramIndex:
    index = NgramIndex()
    for number, steps in enumerate(walks(200)):
        index.add(f"tune {number}", melody(steps, line=number))
    return index


def test_transposed_copy_is_found(library: NgramIndex) -> None:
    copy = transpose(melody(walks(200)[17]), 5)
    best = library.nearest(copy)[0]
    assert (best.name, best.containment, best.notes) == ("tune 17", 1.0, 64)


def test_ornamented_copy_is_found(library: NgramIndex) -> None:
    steps = walks(200)[23]
    ornamented = [*steps[:30], steps[30] + 1, *steps[30:]]  # a turn in the middle
    best = library.nearest(melody(ornamented))[0]
    assert best.name == "tune 23"
    assert best.containment == pytest.approx(44 / 55)  # 10 of 54 runs are broken, 11 are new


def test_copy_of_a_part_is_found_with_its_place(library: NgramIndex) -> None:
    steps, other = walks(200)[31], walks(1, seed=9)[0]
    asked = melody([*other[:32], *steps[32:]], line=5)
    best = library.nearest(asked)[0]
    assert best.name == "tune 31"
    assert 0.3 < best.containment < 0.5
    assert best.notes >= 32
    assert (best.line, best.their_line) == (5, 31)
    assert best.column == best.their_column <= 33


def test_unrelated_tunes_are_not_found(library: NgramIndex) -> None:
    assert all(not library.nearest(melody(steps)) for steps in walks(20, seed=1))


def test_groups_join_near_duplicates_and_no_others() -> None:
    index = NgramIndex()
    originals = walks(5)
    for number, steps in enumerate(originals):
        index.add(f"{number}", melody(steps))
    index.add("0 transposed", transpose(melody(originals[0]), -3))
    index.add("1 of it a part", melody(originals[1][:30]))
    index.add("short", melody([0, 1]))
    groups = index.groups()
    assert groups == [
        ["0", "0 transposed"],
        ["1", "1 of it a part"],
        ["2"],
        ["3"],
        ["4"],
        ["short"],
    ]


def test_groups_follow_chains() -> None:
    steps = walks(1, length=90)[0]
    index = NgramIndex()
    for begin in (0, 15, 30):  # each shares half with the next, the first nothing with the last
        index.add(str(begin), melody(steps[begin : begin + 45]))
    assert index.groups(0.5) == [["0", "15", "30"]]
    assert index.groups(1.0) == [["0"], ["15"], ["30"]]


def test_groups_begin_at_the_threshold() -> None:
    index = NgramIndex(2)
    index.add("asked", melody([0, 1, 3, 6, 10, 15]))  # intervals 1 2 3 4 5
    index.add("other", melody([0, 1, 3, 6, 4, 9, 2]))  # 1 2 3 and others: 2 of 4 and of 5
    assert index.groups(0.5) == [["asked", "other"]]
    assert index.groups(0.51) == [["asked"], ["other"]]


def test_chords_and_ties_leave_one_melody() -> None:
    index = NgramIndex(2)
    index.add("plain", parse_tune("K:C\nCDEC|"))
    same = replace(parse_tune("K:C\n[C,C]D-D[EC]C|"))
    assert index.nearest(same)[0].containment == 1.0


def test_bad_arguments() -> None:
    with pytest.raises(ParameterError, match="n is 0, needs to be at least 1"):
        NgramIndex(0)
    index = NgramIndex()
    index.add("a", melody([0, 1]))
    with pytest.raises(ParameterError, match="name 'a' is in the index"):
        index.add("a", melody([0, 1]))
    with pytest.raises(ParameterError, match="threshold is 0"):
        index.groups(0)
    assert NgramIndex().groups() == []
    assert len(index) == 1


class Counted(list[Any]):
    """A list that counts what is read of it."""

    reads = 0

    def __getitem__(self, index: Any) -> Any:
        self.reads += 1
        return super().__getitem__(index)

    def __iter__(self) -> Iterator[Any]:
        self.reads += len(self)
        return super().__iter__()


@pytest.mark.parametrize("n_tunes", [20, 400])
def test_work_of_a_query_does_not_grow_with_unrelated_tunes(n_tunes: int) -> None:
    index = NgramIndex()
    for number, steps in enumerate(walks(n_tunes)):
        index.add(str(number), melody(steps))
    index._names, index._melodies = Counted(index._names), Counted(index._melodies)
    assert index.nearest(melody(walks(1)[0]), k=3)[0].containment == 1
    assert (index._names.reads, index._melodies.reads) == (1, 1)


def test_the_index_keeps_no_notes() -> None:
    index, tune = NgramIndex(), melody(walks(1)[0])
    index.add("tune", tune)
    note = tune.elements[0]
    del tune
    gc.collect()
    assert sys.getrefcount(note) == 2  # the variable and the argument


def test_a_melody_stands_for_its_tune() -> None:
    tunes = [melody(steps) for steps in walks(12)]
    whole, kept = NgramIndex(1), NgramIndex(1)
    for number, tune in enumerate(tunes):
        whole.add(str(number), tune)
        kept.add(str(number), Melody.of(tune))
    for tune in tunes:
        wanted = whole.nearest(tune, k=12)
        assert len(wanted) > 1
        assert kept.nearest(Melody.of(tune), k=12) == wanted
    assert kept.groups(0.2) == whole.groups(0.2)
