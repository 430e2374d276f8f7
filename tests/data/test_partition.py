"""Partitions: sizes by label, artists in one part only, lists of files, and what they lack."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otoscope.data import (
    DividedFolder,
    LabelledSound,
    Partition,
    load_genres,
    partition,
    read_partition,
)
from otoscope.errors import ParameterError


def sounds(labels: dict[str, int], per_artist: int = 2) -> list[LabelledSound]:
    return [
        LabelledSound(f"{label}/{label}.{i:05d}", Path(), label, f"{label}-{i // per_artist}")
        for label, n in labels.items()
        for i in range(n)
    ]


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(3, 40), min_size=1),
    st.integers(0, 99),
    st.sampled_from(["random", "grouped"]),
)
def test_parts_share_nothing_and_hold_everything(
    labels: dict[str, int], seed: int, kind: str
) -> None:
    every = sounds(labels, per_artist=1 if kind == "random" else 2)
    if kind == "grouped" and min(labels.values()) < 5:
        with pytest.raises(ParameterError, match="artists; three parts need three"):
            partition(every, "grouped", seed=seed)
        return
    parts = vars(partition(every, kind, seed=seed)).values()
    names = [sound.name for part in parts for sound in part]
    assert sorted(names) == sorted(sound.name for sound in every)
    owners = [{sound.group for sound in part} for part in parts]
    assert sum(map(len, owners)) == len(set().union(*owners))


def test_labels_are_divided_by_halves_and_quarters() -> None:
    made = partition(sounds({"a": 100, "b": 40}))
    sizes = [Counter(sound.label for sound in part) for part in vars(made).values()]
    assert sizes == [{"a": 50, "b": 20}, {"a": 25, "b": 10}, {"a": 25, "b": 10}]
    assert made.labels == ("a", "b")
    assert made == partition(sounds({"a": 100, "b": 40}))
    assert made != partition(sounds({"a": 100, "b": 40}), seed=1)


def test_gtzans_lists_have_the_published_sizes(shared: Path) -> None:
    folder = shared / "data" / "gtzan"
    names = {line.strip() for path in folder.glob("*.txt") for line in path.read_text().split()}
    every = [LabelledSound(name[:-4], Path(name), name.split("/")[0], name) for name in names]
    sizes = {
        kind: [len(part) for part in vars(read_partition(every, folder, kind)).values()]
        for kind in ("random", "fault")
    }
    assert sizes == {"random": [500, 250, 250], "fault": [443, 197, 290]}


def lists(folder: Path, train: str, valid: str = "a/3.wav", test: str = "a/4.wav") -> Path:
    for part, text in (("train", train), ("valid", valid), ("test", test)):
        (folder / f"{part}_own.txt").write_text(text + "\n")
    return folder


FIVE = [LabelledSound(f"a/{i}", Path(f"a/{i}.au"), "a", "x") for i in range(5)]


def test_suffixes_of_a_list_do_not_count(tmp_path: Path) -> None:
    made = read_partition(FIVE, lists(tmp_path, "a/2.wav\na/0.wav"), "own")
    assert [sound.name for sound in made.train] == ["a/2", "a/0"]


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("a/7.wav\na/8.wav", r"name a/7, which is not there \(2 of 4 are missing\)"),
        ("a/1.wav\na/3.wav", "name a/3 twice: parts share no sound"),
        ("", "the part 'train' of the partition has no sound"),
    ],
)
def test_faults_of_lists_are_named(train: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=message):
        read_partition(FIVE, lists(tmp_path, train), "own")


def test_a_list_that_is_missing_is_named(tmp_path: Path) -> None:
    lists(tmp_path, "a/1.wav")
    with pytest.raises(ParameterError, match=r"train_fault.txt is not there; it lists the sounds"):
        read_partition(FIVE, tmp_path, "fault")


def test_labels_that_are_not_trained_on_are_refused() -> None:
    (other,) = sounds({"b": 1})
    with pytest.raises(ParameterError, match="the part 'test' has the label 'b', on which nothing"):
        Partition((FIVE[0],), (FIVE[1],), (other,))


def test_unknown_kinds_and_few_sounds_are_refused() -> None:
    with pytest.raises(ParameterError, match="kind is 'fault', must be 'random' or 'grouped'"):
        partition(FIVE, "fault")
    with pytest.raises(ParameterError, match=r"a has 2 sounds; three parts need three .*--n 30"):
        partition(FIVE[:2])


def test_artists_that_are_not_known_cannot_be_kept_apart() -> None:
    unknown = [LabelledSound(f"a/{i}", Path(), "a", f"a/{i}") for i in range(8)]
    with pytest.raises(ParameterError, match="'grouped', but no artist of the sounds is known"):
        partition(unknown, "grouped")
    assert len(partition(unknown, "random").train) == 4


def test_a_folder_is_loaded_and_divided(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(8):
            (tmp_path / label / f"{number}.wav").write_bytes(b"")
    made = DividedFolder(tmp_path, "random", seed=1).parts()
    assert made == partition(load_genres(tmp_path), seed=1)
    by_lists = DividedFolder(tmp_path, "own", lists=lists(tmp_path, "a/1.wav")).parts()
    assert [s.name for s in by_lists.train] == ["a/1"]
