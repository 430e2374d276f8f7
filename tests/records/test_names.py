"""Names of files are the shortest ends of their paths that tell them apart."""

from __future__ import annotations

from pathlib import Path, PurePath

from hypothesis import given
from hypothesis import strategies as st

from otoscope.records import distinct_names

PARTS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4)


@given(st.lists(PARTS.map("/".join), max_size=12))
def test_names_are_the_shortest_ends_that_differ(paths: list[str]) -> None:
    names = distinct_names(paths)
    assert set(names) == set(paths)
    assert len(set(names.values())) == len(names)
    for path, name in names.items():
        parts, end = PurePath(path).parts, PurePath(name).parts
        assert parts[-len(end) :] == end
        shorter = end[1:]
        others = [PurePath(other).parts for other in names if other != path]
        if shorter:
            assert any(other[-len(shorter) :] == shorter for other in others)


def test_names_of_paths_that_have_no_other_end_are_whole() -> None:
    assert distinct_names(["1.wav", "a/1.wav"]) == {"1.wav": "1.wav", "a/1.wav": "a/1.wav"}
    assert distinct_names([Path("/x/1.wav"), "/x/1.wav"]) == {"/x/1.wav": "1.wav"}
    assert distinct_names([]) == {}
