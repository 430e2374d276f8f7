"""Prepared folders: read as they were written, counted, whole or not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from otoscope.errors import ParameterError
from otoscope.folk.data import (
    RejectedTune,
    SplitTune,
    TokenisedTune,
    count_tunes,
    load_prepared,
    read_tunes,
    save_prepared,
    split_groups,
)
from otoscope.folk.data.sources import TokenVersion


def placed(form: TokenVersion, n: int = 12) -> list[SplitTune]:
    tunes = [
        tune
        for tune in read_tunes(f"generated:{n}", tokens=form)
        if isinstance(tune, TokenisedTune)
    ]
    split = split_groups(range(n), valid=0.25, test=0.25, seed=0)
    return [
        SplitTune(tune, i, where) for i, (tune, where) in enumerate(zip(tunes, split, strict=True))
    ]


@pytest.mark.parametrize("form", ["v1", "v2", "v3"])
def test_a_prepared_folder_is_read_as_it_was_written(tmp_path: Path, form: TokenVersion) -> None:
    written = placed(form)
    save_prepared(tmp_path, written, [], tokens=form, report={})
    prepared = load_prepared(tmp_path)
    assert prepared.tokens == form
    for split in ("train", "valid", "test"):
        copies = [list(c) for tune in written if tune.split == split for c in tune.tokenised.copies]
        assert getattr(prepared, split) == copies
        assert all(prepared.vocabulary.decode(prepared.vocabulary.encode(c)) == c for c in copies)
    assert [row["split"] for row in prepared.tunes] == [tune.split for tune in written]
    assert [row["tokens"] for row in prepared.tunes] == [
        tune.tokenised.n_tokens for tune in written
    ]


def test_an_empty_split_is_read_as_none(tmp_path: Path) -> None:
    written = [SplitTune(tune.tokenised, tune.group, "train") for tune in placed("v2", 4)]
    save_prepared(tmp_path, written, [], tokens="v2", report={})
    prepared = load_prepared(tmp_path)
    assert (len(prepared.train), prepared.valid, prepared.test) == (4, [], [])


def test_a_folder_that_was_not_prepared_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="otoscope folk prepare SOURCES --out DIR"):
        load_prepared(tmp_path)


@pytest.mark.parametrize("version", [{}, {"schema": 1}, {"format": "otoscope.PreparedTunes/1"}])
def test_a_folder_of_an_older_version_is_read(tmp_path: Path, version: dict[str, object]) -> None:
    save_prepared(tmp_path, placed("v2", 4), [], tokens="v2", report={})
    newest = load_prepared(tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report.pop("format") == "otoscope.PreparedTunes/2"
    (tmp_path / "report.json").write_text(json.dumps({**version, **report}))
    older = load_prepared(tmp_path)
    assert (older.tokens, older.train, older.tunes) == (newest.tokens, newest.train, newest.tunes)


@pytest.mark.parametrize(
    ("report", "message"),
    [
        ('{"format": "otoscope.PreparedTunes/3", "tokens": "v2"}', "reads up to .*; update"),
        ('{"schema": 3, "tokens": "v2"}', "reads up to .*; update"),
        ('{"format": "otoscope.Vocabulary/2"}', "its format must be otoscope.PreparedTunes/2"),
        ('{"schema": 1}', "lacks tokens; the document is damaged"),
        ('{"tokens": ', "report.json is not JSON"),
    ],
)
def test_other_reports_are_refused(tmp_path: Path, report: str, message: str) -> None:
    save_prepared(tmp_path, placed("v2", 4), [], tokens="v2", report={})
    (tmp_path / "report.json").write_text(report)
    with pytest.raises(ParameterError, match=message):
        load_prepared(tmp_path)


def test_counts_are_those_of_the_tunes() -> None:
    written = placed("v2")
    origin = written[0].tokenised.origin
    rejected = [RejectedTune(origin, 1, 2, reason, "") for reason in ("mode", "meter", "mode")]
    result = count_tunes([origin.source], written, rejected)
    assert (result.read, result.kept) == (15, 12)
    assert result.tokens == sum(len(tune.tokenised.copies[0]) for tune in written)
    assert result.reasons == {"mode": 2, "meter": 1}
    assert sum(result.meters.values()) == sum(result.modes.values()) == 12
    assert result.lengths[0] == min(len(tune.tokenised.copies[0]) for tune in written) + 2
    held_out = {t for tune in written if tune.split != "train" for t in tune.tokenised.copies[0]}
    trained = {t for tune in written if tune.split == "train" for t in tune.tokenised.copies[0]}
    assert set(result.unseen) == held_out - trained
    assert result.vocabulary == len(held_out | trained) + 2
    assert json.loads(json.dumps(result.to_dict()["lengths"]))["max"] == result.lengths[-1]
