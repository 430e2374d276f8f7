"""otoscope folk score: nats of each token, its page, and what bad input gets."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.folk.abc import parse_tune, to_abc
from otoscope.folk.data import generate_tune
from otoscope.folk.model import FolkModel, FolkRNN, save_folkrnn
from otoscope.folk.report.surprise import TuneSurprise, save_surprise
from otoscope.folk.tokens import Vocabulary, get_tokeniser
from tests.support.folk_models import log_probability, memoryless

HOSTILE = "<script>alert(1)</script>"
BROKEN = "X:9\nT:Broken\nL:1/8\nK:C\nGAB |\nC ;\n"
QUINTUPLE = "X:10\nT:Five\nM:5/4\nL:1/8\nK:D\nD10|\n"
ODD = "X:11\nT:Odd\nM:4/4\nL:1/8\nK:C\nC2 ^^C6|\n"


def run(*arguments: object) -> str:
    """Run a command that must succeed."""
    result = CliRunner().invoke(app, ["folk", "score", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: object) -> str:
    """Run a command that must end with one line and exit code 2."""
    result = CliRunner().invoke(app, ["folk", "score", *map(str, arguments)])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


@pytest.fixture
def model(tmp_path: Path) -> FolkModel:
    """A network saved as ``tiny``."""
    return memoryless(tmp_path / "tiny")


def book(folder: Path, *others: str, n: int = 2) -> Path:
    """A file of generated tunes, and others."""
    tunes = [to_abc(generate_tune(5, index), index + 1) for index in range(n)]
    path = folder / "a.abc"
    path.write_text("\n".join([*tunes, *others]))
    return path


def test_nats_are_those_of_the_models_distribution(tmp_path: Path, model: FolkModel) -> None:
    document = json.loads(run(book(tmp_path, n=3), "--model", tmp_path / "tiny", "--json"))
    assert document["format"] == "otoscope.ScoreFolk/2"
    assert len(document["tunes"]) == 3
    for index, row in enumerate(document["tunes"]):
        tokens = get_tokeniser("v2").tokens(generate_tune(5, index))
        expected = [-log_probability(model, token) for token in [*tokens, "</s>"]]
        assert row["tokens"] == tokens
        assert row["nats"] == pytest.approx(expected, abs=1e-5)
        assert row["log_probability"] == pytest.approx(-sum(expected), abs=1e-3)
        assert row["nats_per_token"] == pytest.approx(np.mean(expected), abs=1e-6)
        assert row["perplexity"] == pytest.approx(math.exp(row["nats_per_token"]))


@pytest.mark.usefixtures("model")
def test_says_the_mean_over_all_tokens(tmp_path: Path) -> None:
    path = book(tmp_path, n=3)
    document = json.loads(run(path, "--model", tmp_path / "tiny", "--json"))
    nats = np.concatenate([row["nats"] for row in document["tunes"]]).mean()
    output = run(path, "--model", tmp_path / "tiny")
    assert f"3 tunes cost tiny {nats:.3f} nats per token" in output
    assert "most surprising" in output


@pytest.mark.usefixtures("model")
def test_tunes_that_cannot_be_scored_are_told_with_their_place(tmp_path: Path) -> None:
    path = book(tmp_path, BROKEN, QUINTUPLE, ODD)
    document = json.loads(run(path, "--model", tmp_path / "tiny", "--json"))
    assert len(document["tunes"]) == 2
    broken, five, odd = document["rejected"]
    line = path.read_text().splitlines().index("C ;") + 1
    assert (broken["line"], broken["column"]) == (line, 3)
    assert (five["reason"], five["title"]) == ("meter", "Five")
    assert odd["reason"] == "unknown token"
    assert odd["message"].startswith("token 5, '^^C', is none of the model's")
    assert "3 tunes could not be scored; the first: " in run(path, "--model", tmp_path / "tiny")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BROKEN, "line 6, column 3"),
        (ODD, "token 5, '^^C', is none of the model's"),
        ("", "a.abc: the file is empty"),
        ("\0\0", "a.abc: the file is binary"),
        ("hello", "a.abc: no tune found"),
    ],
)
@pytest.mark.usefixtures("model")
def test_files_without_a_tune_to_score(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.abc").write_text(content)
    assert message in refused(tmp_path / "a.abc", "--model", tmp_path / "tiny")


@pytest.mark.usefixtures("model")
def test_bad_input_is_one_line(tmp_path: Path) -> None:
    tiny = tmp_path / "tiny"
    assert "no.abc is not there" in refused("no.abc", "--model", tiny)
    assert "there is no model 'no'" in refused(book(tmp_path), "--model", "no")
    assert "there is no folder no" in refused(
        book(tmp_path), "--model", tiny, "--html", "no/a.html"
    )
    tiny.with_suffix(".safetensors").write_bytes(b"\0" * 99)
    assert "was altered or cut short" in refused(book(tmp_path), "--model", tiny)


@pytest.mark.usefixtures("model")
def test_page_shows_every_token_and_escapes_titles(tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    tune = to_abc(generate_tune(5, 0)).replace("T:", f"T:{HOSTILE} ", 1)
    (tmp_path / "a.abc").write_text(tune)
    output = run(tmp_path / "a.abc", "--model", tmp_path / "tiny", "--html", page)
    assert f"report: {page}" in output
    html = page.read_text()
    assert HOSTILE not in html
    assert "https:" not in html
    shown = re.findall(r'<span style="--surprise:\d+%" title="token (\d+): ', html)
    n_tokens = len(get_tokeniser("v2").tokens(generate_tune(5, 0)))
    assert list(map(int, shown)) == list(range(1, n_tokens + 2))
    document = json.loads(re.search(r'id="surprise">(.*?)</script>', html, re.S)[1])  # type: ignore[index]
    assert document["format"] == "otoscope.TuneSurprises/2"
    assert len(document["tunes"][0]["nats"]) == n_tokens + 1


IN_D = "X:1\nT:In D\nM:4/4\nL:1/8\nK:D\n|:{g}D2 E>E [FA]2 z2|(3GAB c2 D4:|\n"
# Its tokens on root C, by note: the grace note is none, bar lines and "(3" belong to no note.
BY_NOTE = [["C", "2"], ["D", ">"], ["D"], ["[", "E", "G", "]", "2"], ["z", "2"], ["F"], ["G"]]
BY_NOTE += [["A"], ["B", "2"], ["C", "4"]]


def test_notes_on_the_staff_are_coloured_in_the_tunes_own_key(tmp_path: Path) -> None:
    pytest.importorskip("verovio", reason='verovio is not installed: pip install "otoscope[folk]"')
    vocabulary = Vocabulary.of([get_tokeniser("v2").tokens(parse_tune(IN_D))])
    network = FolkRNN(len(vocabulary), hidden=4, layers=1).eval()
    with torch.no_grad():
        network.output.weight.zero_()
        network.output.bias.copy_(torch.linspace(-4, 4, len(vocabulary)))
    model = FolkModel(network, vocabulary, "v2")
    save_folkrnn(tmp_path / "tiny", model)
    (tmp_path / "a.abc").write_text(IN_D)
    run(tmp_path / "a.abc", "--model", tmp_path / "tiny", "--html", tmp_path / "a.html")
    html = (tmp_path / "a.html").read_text()
    expected = [sum(-log_probability(model, t) for t in tokens) for tokens in BY_NOTE]
    drawn = r'data-event="(\d+)" class="\w+" style="--surprise:(\d+)"><title>([\d.]+) nats'
    for width in ("wide", "narrow"):
        sheet = re.search(rf'class="sheet heat {width}".*?</svg></svg>', html, re.S)
        assert sheet is not None
        sharps, lines = (sheet[0].count(f'class="{name}"') for name in ("keyAccid", "clef"))
        assert sharps == 2 * lines > 0  # of D major
        notes = re.findall(drawn, sheet[0])
        assert [int(number) for number, _, _ in notes] == list(range(len(BY_NOTE)))
        assert [float(nats) for _, _, nats in notes] == pytest.approx(expected, abs=0.006)
        strengths = [round(100 * min(nats / 8, 1)) for nats in expected]
        assert [int(strength) for _, strength, _ in notes] == pytest.approx(strengths, abs=1)
    assert "The colour of a note in the sheet music" in html


@pytest.mark.usefixtures("model")
def test_picked_tunes_are_not_in_the_mean(tmp_path: Path) -> None:
    path = book(tmp_path, n=3)
    drawn = run(path, "--model", tmp_path / "tiny").split("\n")[0]
    picked = to_abc(generate_tune(5, 7), 4).replace("M:", "N:picked: rank 1 of 9\nM:", 1)
    path.write_text(f"{path.read_text()}\n{picked}")
    output = run(path, "--model", tmp_path / "tiny", "--html", tmp_path / "a.html")
    assert output.split("\n")[0] == drawn
    assert "1 tune was picked by --best (N:picked): figures are without these." in output
    assert "picked by --best" in (tmp_path / "a.html").read_text()
    document = json.loads(run(path, "--model", tmp_path / "tiny", "--json"))
    assert [tune["picked"] for tune in document["tunes"]] == [False, False, False, True]
    path.write_text(picked)
    output = run(path, "--model", tmp_path / "tiny")
    assert "1 tune costs tiny" in output
    assert "figures say nothing of the model" in output


def test_the_darker_the_more_surprising(tmp_path: Path) -> None:
    nats = np.array([0.0, 2.0, 8.0, 80.0])
    save_surprise([TuneSurprise("a#1", "", ("A", "B", "|"), nats)], tmp_path / "a.html", model="m")
    html = (tmp_path / "a.html").read_text()
    assert re.findall(r'--surprise:(\d+)%" title', html) == ["0", "25", "100", "100"]
    assert "token 4 “end” 80.0, token 3 “|” 8.0, token 2 “B” 2.0 nats" in html


def test_a_page_shows_a_hundred_tunes_and_says_so(tmp_path: Path) -> None:
    tunes = [TuneSurprise(f"a#{n}", f"Air {n}", ("A",), np.ones(2)) for n in range(103)]
    save_surprise(tunes, tmp_path / "a.html", model="m")
    html = (tmp_path / "a.html").read_text()
    assert html.count("<h2>Air ") == 100
    assert "The first 100 of 103 tunes are shown." in html
