"""otoscope folk sample: tunes in a form, a dance and a key, and the best of many."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from otoscope.folk.abc import Tune, book_to_abc, parse_book, parse_tune, read_book
from otoscope.folk.data import generate_tune
from otoscope.folk.metrics import Judge
from otoscope.folk.tokens import get_tokeniser
from tests.folk.cli.test_sample import refused, run, sampled
from tests.support.folk_models import memoryless


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A network's file, without ending."""
    memoryless(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_a_dance_has_its_meter_its_note_length_and_its_name(path: Path) -> None:
    for dance, meter, unit in (("jig", "6/8", "1/8"), ("polka", "2/4", "1/16")):
        for tune in sampled(path, "--rhythm", dance, "--bars-add-up", n=3)["tunes"]:
            lines = tune["abc"].splitlines()
            assert {f"R:{dance}", f"M:{meter}", f"L:{unit}"} <= set(lines)
            (read,) = parse_book(tune["abc"])
            assert isinstance(read, Tune)
            assert read.notes == get_tokeniser("v2").tune(tune["tokens"]).notes
    wrong = ("--model", path, "--rhythm")
    assert "rhythm is 'jig' and meter '4/4'; a jig is written in 6/8" in refused(
        "sample", *wrong, "jig", "--meter", "4/4"
    )
    assert "rhythm is 'tango', must be jig, reel, hornpipe" in refused("sample", *wrong, "tango")


@pytest.mark.parametrize(("key", "semitones"), [("D", 2), ("Bb", -2), ("G", -5), ("Edor", 4)])
def test_tunes_are_written_in_a_key_and_sound_as_in_c(path: Path, key: str, semitones: int) -> None:
    """In the octave in which a fiddle plays them."""
    for tune in sampled(path, "--key", key, "--bars-add-up", n=6)["tunes"]:
        (read,) = parse_book(tune["abc"])
        assert isinstance(read, Tune)
        assert read.key.tonic == key.removesuffix("dor")
        assert key[1:] != "dor" or read.key.mode == "dor"
        on_c = get_tokeniser("v2").tune(tune["tokens"])
        assert read.intervals == on_c.intervals
        shift = read.notes[0].pitch - on_c.notes[0].pitch
        assert (shift - semitones) % 12 == 0
        outside = {
            k: max(0, 55 - min(n.pitch + k for n in on_c.notes))
            + max(0, max(n.pitch + k for n in on_c.notes) - 83)
            for k in range(semitones % 12 - 24, 25, 12)
        }
        assert outside[shift] == min(outside.values())


def test_keys_that_are_none_are_refused(path: Path) -> None:
    for key in ("H", "D lyd", "none", "<b>"):
        assert f"key is '{key}', must be a tonic such as D" in refused(
            "sample", "--model", path, "--key", key
        )
    both = refused("sample", "--model", path, "--key", "Em", "--mode", "maj")
    assert "key is 'Em' and mode 'maj'; give one of both" in both


def test_the_form_and_its_price_are_told(path: Path) -> None:
    form = ("--form", "AABB:4", "--max-tokens", 2000)
    document = sampled(path, *form, "--bars-add-up", n=5)
    assert document["with_form"] == 5
    assert document["masked_nats"] > 0
    assert "The mask that makes bars add up and gives the form AABB:4 took" in document["notes"][0]
    assert "5 of 5 tunes have the form AABB:4." in document["notes"]
    alone = " ".join(sampled(path, *form, n=2)["notes"])
    assert "The mask that gives the form AABB:4 took" in alone
    assert "'8x' is neither letters" in refused("sample", "--model", path, "--form", "8x")


@pytest.fixture
def tradition(tmp_path: Path) -> Path:
    """A book of reference tunes."""
    book = tmp_path / "tradition.abc"
    book.write_text(book_to_abc(generate_tune(1, i, meter="6/8") for i in range(40)))
    return book


def test_the_best_are_those_of_the_judge_and_no_population(
    tmp_path: Path, path: Path, tradition: Path
) -> None:
    form = (
        "--form",
        "AABB:4",
        "--bars-add-up",
        "--max-tokens",
        900,
        "--rhythm",
        "jig",
        "--seed",
        2,
    )
    everything = sampled(path, *form, n=10)
    document = sampled(path, *form, "--best", 3, "--of", 10, "--in", tradition)
    assert (len(document["tunes"]), document["of"]) == (3, 10)
    assert document["nats_per_token"] == everything["nats_per_token"]
    named = [(book.title, book) for book in read_book(tradition) if isinstance(book, Tune)]
    judge = Judge(named, preset="6/8")
    order = sorted(
        everything["tunes"], key=lambda t: (*judge(parse_tune(t["abc"])).order, t["number"])
    )
    assert [tune["number"] for tune in document["tunes"]] == [t["number"] for t in order[:3]]
    book = tmp_path / "best.abc"
    book.write_text("\n".join(tune["abc"] for tune in document["tunes"]))
    assert book.read_text().count("N:picked: rank 1 of 10 by the judge") == 1
    checked = json.loads(run("check", book, "--json"))
    assert checked["real"] is checked["summary"] is None
    shown = run("check", book)
    assert "of 3 tunes can be read and have bars that add up." in shown
    assert "%" not in shown  # no rate of picked tunes
    assert "3 tunes were picked by --best" in checked["notes"][0]
    assert "all tunes of" in refused("analyse", tradition, book)
    mixed = tmp_path / "mixed.abc"
    mixed.write_text(book.read_text() + "\n" + everything["tunes"][0]["abc"])
    checked = json.loads(run("check", mixed, "--json"))
    assert checked["summary"]["tunes"] == 1
    for wrong, message in (
        (("--best", 9, "--n", 3), "best is 9 of 3 tunes, must be in [1, 3]"),
        (("--of", 3), "--of is given without --best"),
        (("--best", 1, "--n", 2, "--meter", "4/4"), "no tune can be judged: 0 of 40 reference"),
    ):
        assert message in refused("sample", "--model", path, "--in", tradition, *wrong)
