"""Tunes by rule, splits without leaks, and what is read or rejected with its place and reason."""

from __future__ import annotations

import errno
import json
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import MissingExtra, ParameterError
from otoscope.folk import data as tunes
from otoscope.folk.abc import parse_tune, to_abc, transpose
from otoscope.folk.data import (
    GENERATED_METERS,
    GENERATED_MODES,
    RejectedTune,
    SplitTune,
    TokenisedTune,
    count_tunes,
    generate_tune,
    group_tunes,
    load_prepared,
    new_folder,
    read_tunes,
    save_prepared,
    split_groups,
)
from otoscope.folk.data.sources import TokenVersion
from otoscope.folk.tokens import get_tokeniser, write_token_file

BROKEN = "X:2\nT:Broken\nM:4/4\nL:1/8\nK:G\nGABc d2 }e2|\n"


@pytest.mark.parametrize("meter", GENERATED_METERS)
@pytest.mark.parametrize("mode", GENERATED_MODES)
def test_generated_tunes_keep_the_rules(meter: str, mode: str) -> None:
    """AABB, eight full measures a part, in the key, small steps, a cadence on the tonic."""
    length = Fraction(meter)
    for index in range(3):
        tune = generate_tune(3, index, meter=meter, mode=mode)
        assert (tune.meter.text, tune.key.mode) == (meter, mode)
        assert [(len(part.measures), part.is_repeated) for part in tune.parts] == [(8, True)] * 2
        assert [measure.duration for measure in tune.measures] == [length] * 16
        melody = tune.unfolded.melody
        assert sum(note.duration for note in melody) == 32 * length
        scale = tune.key.pitch_classes
        assert {note.pitch % 12 for note in melody} <= set(scale)
        for end in (8, 16, 24, 32):
            before, last = [note.pitch for note in melody if note.onset < end * length][-2:]
            assert last % 12 == tune.key.tonic_pitch_class
            assert abs(last - before) <= 2
        assert max(note.pitch for note in melody) - min(note.pitch for note in melody) <= 22
        steps = [abs(a) for a in tune.intervals]
        assert sum(step <= 4 for step in steps) >= 0.8 * len(steps)


def test_a_generated_tune_depends_on_its_seed_and_index_only() -> None:
    assert [generate_tune(1, i) for i in range(3)] == [generate_tune(1, i) for i in range(3)]
    several = {to_abc(generate_tune(seed, i)) for seed in range(3) for i in range(20)}
    assert len(several) == 60
    drawn = [generate_tune(0, i) for i in range(200)]
    assert {tune.meter.text for tune in drawn} == set(GENERATED_METERS)
    assert {tune.key.mode for tune in drawn} == set(GENERATED_MODES)
    fixed = generate_tune(0, 5, meter="6/8")
    assert fixed.meter.text == "6/8"


def test_generating_refuses_what_it_has_no_rule_for() -> None:
    for seed, index in ((-1, 0), (0, -1)):
        with pytest.raises(ParameterError, match=f"seed is {seed}, index is {index}"):
            generate_tune(seed, index)
    with pytest.raises(ParameterError, match="meter is '5/4', must be one of 4/4"):
        generate_tune(0, 0, meter="5/4")
    with pytest.raises(ParameterError, match="mode is 'lyd', must be one of maj"):
        generate_tune(0, 0, mode="lyd")


@given(
    groups=st.lists(st.integers(0, 30), max_size=200),
    shares=st.tuples(st.floats(0, 0.49), st.floats(0, 0.49)),
    seed=st.integers(0, 2**32),
)
def test_no_group_is_in_two_splits(
    groups: list[int], shares: tuple[float, float], seed: int
) -> None:
    """And never more is held out than was asked for."""
    split = split_groups(groups, valid=shares[0], test=shares[1], seed=seed)
    assert split == split_groups(groups, valid=shares[0], test=shares[1], seed=seed)
    assert len(split) == len(groups)
    assert len(set(zip(groups, split, strict=True))) == len(set(groups))
    counts = Counter(split)
    assert set(counts) <= {"train", "valid", "test"}
    assert counts["valid"] <= round(shares[0] * len(groups))
    assert counts["test"] <= round(shares[1] * len(groups))


def test_shares_are_met_where_groups_are_small_and_seeds_differ() -> None:
    groups = [i // 2 for i in range(1000)]
    split = Counter(split_groups(groups, valid=0.1, test=0.2, seed=1))
    assert split == {"train": 700, "valid": 100, "test": 200}
    assert split_groups(groups, seed=1) != split_groups(groups, seed=2)


@pytest.mark.parametrize(
    ("valid", "test", "seed"),
    [(-0.1, 0.1, 0), (0.5, 0.5, 0), (float("nan"), 0, 0), (0.1, -1, 0), (0, 0, -1)],
)
def test_shares_out_of_range_are_refused(valid: float, test: float, seed: int) -> None:
    with pytest.raises(ParameterError, match=r"must be at least 0"):
        split_groups([1, 2, 3], valid=valid, test=test, seed=seed)


def test_settings_of_a_tune_are_one_group() -> None:
    """Transposed, one part only, another beginning; unrelated tunes stay apart."""
    drawn = [generate_tune(7, i, meter="4/4") for i in range(6)]
    abc = to_abc(drawn[2])
    bars = abc.split("|")
    varied = parse_tune(abc.replace(bars[1], "z8", 1)) if len(bars) > 1 else drawn[2]
    groups = group_tunes([*drawn, transpose(drawn[2], 5), varied])
    assert groups[:6] == [0, 1, 2, 3, 4, 5]
    assert groups[6:] == [2, 2]
    assert group_tunes([]) == []


def read(
    source: Path | str, tokens: TokenVersion = "v2"
) -> tuple[list[TokenisedTune], list[RejectedTune]]:
    found = list(read_tunes(str(source), tokens=tokens))
    return (
        [one for one in found if isinstance(one, TokenisedTune)],
        [one for one in found if isinstance(one, RejectedTune)],
    )


def test_broken_tunes_are_rejected_with_their_place(tmp_path: Path) -> None:
    good = to_abc(generate_tune(0, 0))
    path = tmp_path / "tunes.abc"
    path.write_text(f"{good}\n{BROKEN}\n{good}")
    kept, (rejected,) = read(path)
    assert [one.origin.number for one in kept] == [1, 3]
    line = path.read_text().splitlines().index("GABc d2 }e2|") + 1
    assert (rejected.line, rejected.column) == (line, 9)
    assert rejected.origin.name == f"{path}#2"
    assert rejected.reason
    assert f"line {line}" in rejected.message
    assert rejected.to_dict()["reason"] == rejected.reason


def test_tunes_of_other_forms_are_rejected_by_reason(tmp_path: Path) -> None:
    head = "M:4/4\nL:1/8\n"
    path = tmp_path / "tunes.abc"
    path.write_text(
        f"X:1\n{head}K:Dphr\nD8|\n\nX:2\nM:5/4\nL:1/8\nK:D\nD10|\n\n"
        f"X:3\n{head}K:D\nD8|[K:G]G8|\n\nX:4\n{head}K:D\nD8|[M:3/4]G6|\n"
    )
    kept, rejected = read(path)
    assert not kept
    reasons = [one.reason for one in rejected]
    assert reasons == ["mode", "meter", "key changes", "meter changes"]


def test_folders_are_read_in_order_and_say_which_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("b.abc", "in/a.ABC"):
        (tmp_path / name).write_text(to_abc(generate_tune(0, len(name))))
    (tmp_path / "empty.abc").write_text("")
    (tmp_path / "notes.txt").write_text("no tune")
    (tmp_path / "sound.abc").write_bytes(b"RIFF\0\0\xff\xfe" * 20)
    kept, rejected = read(tmp_path)
    assert [one.origin.file for one in kept] == ["b.abc", str(Path("in") / "a.ABC")]
    paths = [tmp_path / "empty.abc", tmp_path / "sound.abc"]
    assert [one.origin.file for one in rejected] == [path.name for path in paths]
    assert [one.origin.name for one in rejected] == [f"{path}#0" for path in paths]


@pytest.mark.parametrize("content", [b"", b"\0\1\2\xff" * 100, b"no tune at all\n"])
def test_a_file_that_is_no_music_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.abc"
    path.write_bytes(content)
    with pytest.raises(ParameterError, match=r"a\.abc: "):
        read(path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no/such.abc", "no/such.abc is not there; a source is aird, oneill, ryan, misc"),
        ("generated:", "must be generated: and a number of tunes"),
        ("generated:0", "must be generated: and a number of tunes"),
        ("generated:x", "must be generated: and a number of tunes"),
    ],
)
def test_sources_that_are_none_are_refused(source: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        read(source)


def test_a_folder_without_abc_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"has no files that end in \.abc"):
        read(tmp_path)


def test_a_collection_without_music21_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tunes.sources, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match="pip install --no-deps music21"):
        read("ryan")
    with pytest.raises(ParameterError, match="no collection 'bach'; there are aird"):
        tunes.collection_files("bach")


@pytest.mark.parametrize("form", ["v2", "v3"])
def test_a_file_of_tokens_is_taken_as_it_is(tmp_path: Path, form: TokenVersion) -> None:
    path = tmp_path / "tokens"
    written = [copy for i in range(4) for copy in get_tokeniser(form).copies(generate_tune(0, i))]
    write_token_file(path, written)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    kept, rejected = read(path, form)
    assert [list(one.copies[0]) for one in kept] == written
    assert not rejected
    assert all(len(one.copies) == 1 for one in kept)


def test_tokens_are_converted_into_the_form_asked_for(tmp_path: Path) -> None:
    drawn = [generate_tune(0, i) for i in range(4)]
    v2, v3 = ([get_tokeniser(form).copies(tune) for tune in drawn] for form in ("v2", "v3"))
    write_token_file(tmp_path / "v2", [copy for tune in v2 for copy in tune])
    write_token_file(tmp_path / "v3", [copy for tune in v3 for copy in tune])
    kept, rejected = read(tmp_path / "v2", "v3")
    assert [[list(copy) for copy in one.copies] for one in kept] == v3
    assert not rejected
    kept, rejected = read(tmp_path / "v3", "v2")
    assert [[list(copy) for copy in one.copies] for one in kept] == v2
    assert [one.reason for one in rejected] == ["copy on C sharp"] * 4


def test_broken_tokens_are_rejected_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "tokens.txt"
    path.write_text("M:4/4\nK:Cmaj\n|: C 8 :|\n\nM:4/4\nK:Cmaj\n|: C 8 Q :|\n")
    (kept,), (rejected,) = read(path)
    assert kept.copies == (("M:4/4", "K:Cmaj", "|:", "C", "8", ":|"),)
    assert rejected.origin.number == 2
    assert "Q" in rejected.message


def placed(form: TokenVersion, n: int = 12) -> list[SplitTune]:
    found = [
        one for one in read_tunes(f"generated:{n}", tokens=form) if isinstance(one, TokenisedTune)
    ]
    split = split_groups(range(n), valid=0.25, test=0.25, seed=0)
    return [
        SplitTune(one, i, where) for i, (one, where) in enumerate(zip(found, split, strict=True))
    ]


@pytest.mark.parametrize("form", ["v1", "v2", "v3"])
def test_a_prepared_folder_is_read_as_it_was_written(tmp_path: Path, form: TokenVersion) -> None:
    written = placed(form)
    save_prepared(tmp_path, written, [], tokens=form, report={})
    found = load_prepared(tmp_path)
    assert found.tokens == form
    for split in ("train", "valid", "test"):
        copies = [list(c) for one in written if one.split == split for c in one.tokenised.copies]
        assert getattr(found, split) == copies
        assert all(found.vocabulary.decode(found.vocabulary.encode(c)) == c for c in copies)
    assert [row["split"] for row in found.tunes] == [one.split for one in written]
    assert [row["tokens"] for row in found.tunes] == [one.tokenised.n_tokens for one in written]


def test_an_empty_split_is_read_as_none(tmp_path: Path) -> None:
    written = [SplitTune(one.tokenised, one.group, "train") for one in placed("v2", 4)]
    save_prepared(tmp_path, written, [], tokens="v2", report={})
    found = load_prepared(tmp_path)
    assert (len(found.train), found.valid, found.test) == (4, [], [])


def test_a_folder_that_was_not_prepared_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="otoscope folk prepare SOURCES --out DIR"):
        load_prepared(tmp_path)


def test_counts_are_those_of_the_tunes() -> None:
    written = placed("v2")
    origin = written[0].tokenised.origin
    rejected = [RejectedTune(origin, 1, 2, reason, "") for reason in ("mode", "meter", "mode")]
    found = count_tunes([origin.source], written, rejected)
    assert (found.read, found.kept) == (15, 12)
    assert found.tokens == sum(len(one.tokenised.copies[0]) for one in written)
    assert found.reasons == {"mode": 2, "meter": 1}
    assert sum(found.meters.values()) == sum(found.modes.values()) == 12
    assert found.lengths[0] == min(len(one.tokenised.copies[0]) for one in written) + 2
    held_out = {t for one in written if one.split != "train" for t in one.tokenised.copies[0]}
    trained = {t for one in written if one.split == "train" for t in one.tokenised.copies[0]}
    assert set(found.unseen) == held_out - trained
    assert found.vocabulary == len(held_out | trained) + 2
    assert json.loads(json.dumps(found.to_dict()["lengths"]))["max"] == found.lengths[-1]


def test_a_new_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    def write() -> None:
        with new_folder(tmp_path / "a") as draft:
            (draft / "train.txt").write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("")
    for taken in ("full", "file"):
        with (
            pytest.raises(ParameterError, match="not an empty folder"),
            new_folder(tmp_path / taken),
        ):
            pass
    (tmp_path / "empty").mkdir()
    for name in ("empty", "deep/in"):
        with new_folder(tmp_path / name) as draft:
            (draft / "a").write_text("")
        assert [path.name for path in (tmp_path / name).iterdir()] == ["a"]
