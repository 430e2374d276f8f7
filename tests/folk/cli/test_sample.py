"""otoscope folk sample and continue: ABC from a network, and what bad input gets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.folk.abc import Tune, parse_book, read_book
from otoscope.folk.model import SampledTune
from otoscope.folk.tokens import get_tokeniser
from otoscope.folk.workflows.sample import prime_tokens, write_tune
from tests.support.folk_models import log_probability, memoryless


def run(*arguments: object) -> str:
    """Run a command that must succeed."""
    result = CliRunner().invoke(app, ["folk", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: object) -> str:
    """Run a command that must end with one line and exit code 2."""
    result = CliRunner().invoke(app, ["folk", *map(str, arguments)])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A network's file, without ending."""
    memoryless(tmp_path / "tiny")
    return tmp_path / "tiny"


@contextmanager
def full_disk() -> Iterator[None]:
    """No file can be longer than a hundred bytes."""
    resource = pytest.importorskip("resource", reason="limits of files are Unix's")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def sampled(path: Path, *options: object, n: int = 8) -> dict[str, Any]:
    """Return the JSON that the command prints."""
    limit = () if "--max-tokens" in options else ("--max-tokens", 150)
    output = run("sample", "--n", n, "--model", path, *limit, *options, "--json")
    return dict(json.loads(output))


@pytest.mark.parametrize("command", ["sample", "continue", "score", "train", "import-folkrnn"])
def test_help_has_an_example(command: str) -> None:
    assert f"Example: otoscope folk {command}" in " ".join(run(command, "--help").split())


def test_same_seed_same_bytes_whatever_the_batch(tmp_path: Path, path: Path) -> None:
    def file(seed: int, batch: int, n: int = 7) -> bytes:
        out = tmp_path / "a.abc"
        options = ("--seed", seed, "--batch", batch, "--max-tokens", 80)
        run("sample", "--n", n, "--model", path, "--out", out, *options)
        return out.read_bytes()

    assert file(1, 1) == file(1, 3) == file(1, 64)
    assert file(1, 64) != file(2, 64)
    assert file(1, 64).startswith(file(1, 64, n=3))


def test_every_tune_is_in_the_file_numbered_and_named(tmp_path: Path, path: Path) -> None:
    output = run("sample", "--n", 9, "--seed", 3, "--model", path, "--out", tmp_path / "a.abc")
    assert "9 tunes of tiny, seed 3: 9 finished" in output
    text = (tmp_path / "a.abc").read_text()
    assert [line for line in text.splitlines() if line.startswith("X:")] == [
        f"X:{number}" for number in range(1, 10)
    ]
    assert text.count("\nT:tiny, seed 3, tune ") == 9
    document = sampled(path, "--seed", 3, "--max-tokens", 2000, n=9)
    assert text == "\n".join(tune["abc"] for tune in document["tunes"])


def test_tokens_that_are_no_tune_are_marked_and_no_others(path: Path) -> None:
    document = sampled(path, n=30)
    broken = [tune for tune in document["tunes"] if tune["error"]]
    assert 0 < len(broken) == document["no_tune"] < 30
    for tune in document["tunes"]:
        assert ("\nN:no tune: " in tune["abc"]) == (tune["error"] is not None)
    assert any("no tune" in note and str(broken[0]["number"]) in note for note in document["notes"])


def test_abc_sounds_as_the_tokens_do(path: Path) -> None:
    for tune in sampled(path, "--bars-add-up", n=20)["tunes"]:
        (read,) = parse_book(tune["abc"])
        assert isinstance(read, Tune)
        assert read.notes == get_tokeniser("v2").tune(tune["tokens"]).notes


def test_unfinished_tunes_are_written_and_marked(path: Path) -> None:
    document = sampled(path, "--max-tokens", 12)
    unfinished = [tune for tune in document["tunes"] if not tune["finished"]]
    assert len(document["tunes"]) == 8
    assert 0 < len(unfinished) == 8 - document["finished"]
    for tune in unfinished:
        assert "\nN:unfinished: broken off after 12 tokens\n" in tune["abc"]
        assert len(tune["tokens"]) == 12
    assert any(note.startswith("Unfinished after 12 tokens") for note in document["notes"])


def test_log_probability_is_the_models_own(tmp_path: Path) -> None:
    model = memoryless(tmp_path / "tiny")
    asked = ("--temperature", 0.7, "--top-k", 20, "--meter", "6/8", "--prime", "G2A")
    for tune in sampled(tmp_path / "tiny", *asked)["tunes"]:
        meter, key, *body = tune["tokens"]
        assert (meter, body[:3]) == ("M:6/8", ["G", "2", "A"])
        drawn = [key, *body[3:], *["</s>"] * tune["finished"]]
        assert tune["drawn"] == len(drawn)
        expected = sum(log_probability(model, token) for token in drawn)
        assert tune["log_probability"] == pytest.approx(expected, abs=1e-6)


def test_bars_add_up_and_what_that_forbade_is_told(path: Path) -> None:
    document = sampled(path, "--bars-add-up", "--seed", 5, n=20)
    assert document["masked_nats"] > 0
    assert document["no_tune"] == 0
    assert any("The mask that makes bars add up took" in note for note in document["notes"])
    inner = 0
    for item in document["tunes"]:
        (tune,) = parse_book(item["abc"])
        assert isinstance(tune, Tune)
        for measure in tune.measures:
            if measure.left and measure.right and {measure.left.text, measure.right.text} == {"|"}:
                assert measure.duration == tune.meter.length
                inner += 1
    assert inner > 5


def test_json_tells_the_settings(path: Path) -> None:
    document = sampled(path, "--seed", 4, "--mode", "dor", "--top-p", 0.9, n=2)
    assert document["format"] == "otoscope.SampleFolk/2"
    assert document["settings"]["seed"] == 4
    assert document["settings"]["sampling"]["top_p"] == 0.9
    assert [tune["tokens"][1] for tune in document["tunes"]] == ["K:Cdor", "K:Cdor"]
    assert {"otoscope", "torch"} <= document["versions"].keys()


def test_without_a_file_tunes_are_printed_and_nothing_else(path: Path) -> None:
    result = CliRunner().invoke(
        app, ["folk", "sample", "--n", "3", "--model", str(path), "--max-tokens", "50"]
    )
    assert result.exit_code == 0
    assert len(parse_book(result.stdout)) == 3
    assert "3 tunes of tiny" not in result.stdout
    assert "3 tunes of tiny" in result.stderr


@pytest.mark.parametrize("form", ["v1", "v3"])
def test_other_tokens(tmp_path: Path, form: str) -> None:
    memoryless(tmp_path / "tiny", form=form)
    document = sampled(tmp_path / "tiny", n=4)
    for tune in document["tunes"]:
        assert tune["abc"].startswith(f"X:{tune['number']}\nT:tiny, seed 0, tune ")
        if form == "v3":
            assert tune["tokens"][1] in ("K:maj", "K:min", "K:dor", "K:mix")
            assert "\nK:C" in tune["abc"]


def test_what_is_no_tune_does_not_run_together_into_one() -> None:
    """A length after a bar line, joined, would be an ending; two lengths would be one."""
    for tokens in (["|", "2", "G"], ["G", "2", "3"], ["|", "1", "G"]):
        drawn = SampledTune(0, ("M:4/4", "K:Cmaj", *tokens), -1.0, 5, True, 0.0)
        written = write_tune(drawn, "v2", title="Broken")
        assert "a length needs a note before it" in written.error
        assert written.abc.splitlines()[-1] in ("| 2G", "G2 3", "| 1G")


def test_prime_is_tokens_or_abc(tmp_path: Path) -> None:
    model = memoryless(tmp_path / "v2")
    same = [prime_tokens(text, model, mode="*") for text in ("|: G 2 B", "|:G2B", "|: G2 B ")]
    assert same == [("|:", "G", "2", "B")] * 3
    assert prime_tokens("~G2{c}B", model, mode="*") == ("G", "2", "B")
    assert prime_tokens("~G2{c}B|", model, mode="*") == ("G", "2", "B", "|")
    signed = memoryless(tmp_path / "v3", form="v3")
    assert prime_tokens("EB", signed, mode="dor")[0] == "^D"
    assert prime_tokens("EB", signed, mode="*")[0] == "=E"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--n", -3], "n is -3, must be at least 1"),
        (["--n", 0], "n is 0, must be at least 1"),
        (["--batch", 0], "batch is 0, must be at least 1"),
        (["--seed", -1], "seed is -1, must be at least 0"),
        (["--temperature", 0], "temperature is 0.0, must be above 0"),
        (["--top-p", 1.5], "top_p is 1.5, must be in (0, 1]"),
        (["--top-k", 0], "top_k is 0"),
        (["--max-tokens", 0], "max_tokens is 0"),
        (["--meter", "5/4"], "meter '5/4' is unknown to the model; it knows 12/8"),
        (["--mode", "lyd"], "mode 'lyd' is unknown to the model; it knows dor, maj"),
        (["--meter", "5/4", "--prime", "G2A"], "meter '5/4' is unknown to the model"),
        (["--prime", "G2 ^^A"], "prime token 3, '^^A', is none of the"),
        (["--prime", "G2 ;A"], "prime 'G2 ;A': column 4: ';A' came, needs music"),
        (["--prime", "~G2 C,,,"], "prime '~G2 C,,,': pitches are 24 to 67"),
        (["--prime", "M:6/8 G"], "prime holds M:6/8; give it as the meter or the mode"),
        (["--model", "no/model"], "no/model.safetensors is not there"),
        (["--out", "no/a.abc"], "there is no folder no"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, path: Path, options: list[object], message: str
) -> None:
    before = {file.name for file in tmp_path.iterdir()}
    model = [] if "--model" in options else ["--model", path]
    out = [] if "--out" in options else ["--out", tmp_path / "a.abc"]
    assert message in refused("sample", *model, *out, *options)
    assert {file.name for file in tmp_path.iterdir()} == before


def test_a_network_of_another_vocabulary_is_refused(tmp_path: Path, path: Path) -> None:
    described = json.loads(path.with_suffix(".json").read_text())
    described["vocabulary"][-2:] = []
    path.with_suffix(".json").write_text(json.dumps(described))
    message = refused("sample", "--model", path, "--out", tmp_path / "a.abc")
    assert "was altered or cut short" in message


def test_the_shipped_network_may_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otoscope.folk.model.bundle.SHIPPED", tmp_path)
    monkeypatch.chdir(tmp_path)
    message = refused("sample", "--n", 2)
    assert "folkrnn-small does not come with this installation; train a model" in message
    monkeypatch.setattr("otoscope.folk.model.shipped.SHIPPED", tmp_path)
    (tmp_path / "a.abc").write_text("X:1\nM:2/4\nL:1/4\nK:C\nCD|EF|]\n", encoding="utf-8")
    message = refused("check", "a.abc")
    assert "folkrnn-small does not come with this installation; give tunes" in message
    assert "by --against" in message


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, path: Path) -> None:
    out = tmp_path / "a.abc"
    out.write_text("X:1\nT:Old, seed 0, tune 1\nK:C\nC|\n")
    before = sorted(file.name for file in tmp_path.iterdir())
    with full_disk():
        message = refused("sample", "--n", 9, "--model", path, "--out", out, "--max-tokens", 99)
    assert message == f"otoscope: {out}: File too large"
    assert "T:Old" in out.read_text()
    assert sorted(file.name for file in tmp_path.iterdir()) == before


JIG = """X:1
T:Broken
K:C
C;

X:2
T:A Jig
M:6/8
L:1/8
K:G
D|GAB c2d|{a}e2d B2A|GFG ABc|d3 D2:|
"""


def test_continuations_begin_with_the_given_bars_in_the_tunes_key(
    tmp_path: Path, path: Path
) -> None:
    (tmp_path / "jig.abc").write_text(JIG)
    out = tmp_path / "b.abc"
    options = ("--model", path, "--bars-add-up", "--max-tokens", 60, "--out", out)
    run("continue", tmp_path / "jig.abc", "--tune", 2, "--bars", 2, "--n", 4, *options)
    tunes = read_book(out)
    assert len(tunes) == 4
    jig = parse_book(JIG)[1]
    assert isinstance(jig, Tune)
    for number, tune in enumerate(tunes, start=1):
        assert isinstance(tune, Tune)
        assert tune.title == f"A Jig, continuation {number}"
        assert (tune.key.abc, tune.meter.text) == ("Gmaj", "6/8")
        assert [note.pitch for note in tune.notes[:10]] == [n.pitch for n in jig.notes[:10]]
        assert ("N", "given: 2 bars; the rest is by tiny, seed 0") in tune.headers
    assert len({str(tune) for tune in tunes}) > 1


def test_continuing_a_prime_is_sampling(path: Path) -> None:
    options = ("--model", path, "--prime", "G2A", "--n", 3, "--max-tokens", 40)
    assert run("continue", *options) == run("sample", *options)


def test_characters_go_on_after_the_given_bars(tmp_path: Path) -> None:
    memoryless(tmp_path / "tiny", form="v1")
    (tmp_path / "scale.abc").write_text("X:1\nT:Waltz\nM:4/4\nL:1/8\nK:C\nC2D2E2F2|G2A2B2c2|C8|\n")
    options = ("--bars", 2, "--n", 1, "--model", tmp_path / "tiny", "--max-tokens", 99, "--json")
    document = json.loads(run("continue", tmp_path / "scale.abc", *options))
    text = "".join(document["prime"])
    assert text == "T:Waltz\nM:4/4\nL:1/8\nK:Cmaj\nC2D2 E2F2 | G2A2 B2c2 |"
    assert "".join(document["tunes"][0]["tokens"]).startswith(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "line 4, column 2: ';' came"),
        (["--tune", 3], "tune is 3;"),
        (["--tune", 0], "tune is 0, must be at least 1"),
        (["--tune", 2, "--bars", 5], "bars is 5; tune 2 of"),
        (["--tune", 2, "--bars", 0], "bars is 0, must be at least 1"),
        (["--tune", 2, "--meter", "3/4"], "meter, mode and prime are the tune's"),
        (["--tune", 2, "--mode", "dor"], "meter, mode and prime are the tune's"),
        (["--prime", "G"], "give either FILE.abc or --prime"),
        (["--tune", 2, "--n", -1], "n is -1, must be at least 1"),
    ],
)
def test_bad_input_to_continue(
    tmp_path: Path, path: Path, options: list[object], message: str
) -> None:
    (tmp_path / "jig.abc").write_text(JIG)
    assert message in refused("continue", tmp_path / "jig.abc", "--model", path, *options)


def test_a_tune_of_a_folder_can_be_continued(tmp_path: Path, path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.abc").write_text(JIG)
    options = ("--model", path, "--bars", 2, "--n", 1, "--max-tokens", 40)
    output = run("continue", tmp_path, "--tune", 4, *options)
    assert "A Jig, continuation 1" in output
    assert "tune is 5;" in refused("continue", tmp_path, "--tune", 5, *options)


@pytest.mark.parametrize(
    "command",
    [["continue"], ["score"], ["check"], ["render", "--out", "a"], ["nearest", "--in", "a"]],
)
def test_what_is_no_source_says_what_is(command: list[str], tmp_path: Path) -> None:
    message = refused(command[0], tmp_path / "nosuch", *command[1:])
    assert f"{tmp_path / 'nosuch'} is not there; need a file, a folder of ABC files" in message
    assert "a printed collection: aird, oneill, ryan, misc (pip install --no-deps m" in message


def test_an_unknown_network_is_told_with_those_of_the_package(tmp_path: Path) -> None:
    assert "no model 'nope'; in the package is folkrnn-small" in refused(
        "sample", "--model", "nope"
    )
    message = refused("sample", "--model", tmp_path)
    assert f"{tmp_path} is a folder, and a bundle is two files; there is none in it" in message


@pytest.mark.parametrize("content", [b"", b"\0\xff" * 99, None])
def test_files_without_a_tune(tmp_path: Path, path: Path, content: bytes | None) -> None:
    file = tmp_path / "a.abc"
    if content is not None:
        file.write_bytes(content)
    assert str(file) in refused("continue", file, "--model", path)
