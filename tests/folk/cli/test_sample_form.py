"""otoscope folk sample: tunes in a form, a dance and a key, and the best of many."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from otoscope.errors import ParameterError
from otoscope.folk.abc import Tune, book_to_abc, parse_book, parse_tune, read_book
from otoscope.folk.data import generate_tune
from otoscope.folk.metrics import Judge
from otoscope.folk.model import SamplingConfig
from otoscope.folk.tokens import get_tokeniser
from otoscope.folk.workflows.compose import ComposeConfig
from otoscope.folk.workflows.sample import SampleFolkConfig
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


@pytest.mark.parametrize(
    ("key", "mode", "semitones"),
    [("D", "maj", 2), ("Bb", "maj", -2), ("Gmajor", "maj", -5), ("E Dorian", "dor", 4)],
)
def test_tunes_are_written_in_a_key_and_sound_as_in_c(
    path: Path, key: str, mode: str, semitones: int
) -> None:
    """In the octave in which a fiddle plays them."""
    for tune in sampled(path, "--key", key, "--bars-add-up", n=6)["tunes"]:
        (read,) = parse_book(tune["abc"])
        assert isinstance(read, Tune)
        assert read.key.tonic == key[: 1 + key.startswith("Bb")]
        assert (read.key.mode, tune["tokens"][1]) == (mode, f"K:C{mode}")
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


def test_a_mode_beside_the_tonic_is_kept_and_a_star_leaves_it_to_the_model(path: Path) -> None:
    def modes(*options: object) -> tuple[list[str], list[str]]:
        document = sampled(path, *options, "--bars-add-up", n=20)
        keys = [tune["abc"].partition("K:")[2].splitlines()[0] for tune in document["tunes"]]
        assert {key[:2] for key in keys} == {"Bb"}
        return [key[2:] for key in keys], document["notes"]

    assert modes("--key", "Bb", "--mode", "dor")[0] == ["dor"] * 20
    assert modes("--key", "Bb*", "--mode", "dor")[0] == ["dor"] * 20
    free, notes = modes("--key", "Bb*")
    assert len(set(free)) > 1
    (note,) = (note for note in notes if note.startswith("Modes that the model chose: "))
    told = dict(pair.split(" ") for pair in note[:-1].partition(": ")[2].split(", "))
    assert {mode: int(n) for mode, n in told.items()} == {m: free.count(m) for m in free}


def test_a_model_of_characters_chooses_the_mode_of_a_key(tmp_path: Path) -> None:
    memoryless(tmp_path / "v1", form="v1")
    message = refused("sample", "--model", tmp_path / "v1", "--key", "D")
    assert "key is 'D', but a model of characters chooses the mode: give D*" in message
    document = sampled(tmp_path / "v1", "--key", "D*", n=2)
    assert any(note.startswith("Modes that the model chose: ") for note in document["notes"])


def test_empty_values_are_refused(path: Path) -> None:
    for option, message in (
        ("form", "form is '', must be letters and numbers of bars such as AABB:8"),
        ("key", "key is '', must be a tonic such as D"),
        ("rhythm", "rhythm is '', must be jig"),
        ("meter", "meter '' is unknown to the model; it knows 12/8"),
        ("mode", "mode '' is unknown to the model; it knows dor"),
        ("prime", "prime is '', must be ABC on root C or tokens; leave it out for none"),
    ):
        assert message in refused("sample", "--model", path, f"--{option}", "")
        if option not in ("key", "rhythm"):
            begun = () if option == "prime" else ("--prime", "G")
            assert message in refused("continue", "--model", path, *begun, f"--{option}", "")


def test_an_empty_source_or_model_is_not_the_folder_that_one_is_in(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here.abc").write_text("X:1\nK:C\nCDEF|\n")
    monkeypatch.chdir(tmp_path)
    missing = "'' is not there; need a file, a folder"
    assert missing in refused("sample", "--model", path, "--n", 1, "--best", 1, "--in", "")
    assert missing in refused("prepare", "", "--out", "tunes")
    assert missing in refused("check", "here.abc", "--against", "")
    for nameless in ("", "."):
        assert "there is no model" in refused("sample", "--model", nameless)


def test_empty_settings_are_refused() -> None:
    for blank in ("", "  "):
        for name in ("key", "rhythm", "prime"):
            with pytest.raises(ParameterError, match=f"{name} is '{blank}', must be"):
                SampleFolkConfig(**{name: blank})  # type: ignore[arg-type]
        with pytest.raises(ParameterError, match=f"form is '{blank}', must be"):
            SamplingConfig(form=blank)
        with pytest.raises(ParameterError, match=f"prime is '{blank}', must be"):
            ComposeConfig(prime=blank)


def test_keys_that_are_none_are_refused(path: Path) -> None:
    for key in ("H", "D lyd", "none", "<b>", "Dm*", "D*dor", "*", "D ^g"):
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
