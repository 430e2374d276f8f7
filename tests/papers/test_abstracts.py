"""The page of the abstracts: every sentence has a row, every cell is filled, every command runs."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.data import sample
from otoscope.papers import EXPERIMENTS
from tests.folk.cli.test_import import authors_file
from tests.support.commands import given_once, parse
from tests.support.listening import exported, write_answers
from tests.support.paths import ROOT, SHARED

PAGE = ROOT / "docs" / "papers" / "abstracts.md"
SENTENCES = {"A": 8, "B": 8, "C": 9, "D": 5, "E": 7}  # of each abstract
STATUSES = {"exact", "analogue on our corpus", "needs the user's data", "needs human ears"}
MOST_WORDS = 12  # of a quotation
BUNDLES = ROOT / "python" / "otoscope" / "models" / "bundles"
FEATURES = "ballroom_rhythm.npz"


class Row(NamedTuple):
    """A row of the page; the command without its first word."""

    paper: str
    sentence: int
    words: str
    claim: str
    command: list[str]
    status: str
    result: str


def rows() -> list[Row]:
    """Read the tables of the papers."""
    read = []
    for section in re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.M)[1:]:
        for line in re.findall(r"^\| \d.*$", section, re.M):
            sentence, words, claim, command, status, result = line.strip("| ").split(" | ")
            program, *arguments = shlex.split(command.strip("`"))
            assert program == "otoscope"
            read.append(Row(section[0], int(sentence), words, claim, arguments, status, result))
    return read


ROWS = rows()


def test_every_sentence_of_every_abstract_has_a_row_in_its_order() -> None:
    for paper, n_sentences in SENTENCES.items():
        sentences = [row.sentence for row in ROWS if row.paper == paper]
        assert sentences == sorted(sentences)
        assert set(sentences) == set(range(1, n_sentences + 1))


def test_no_cell_is_empty_and_every_status_is_one_of_four() -> None:
    assert all(all(row) for row in ROWS)
    assert {row.status for row in ROWS} == STATUSES
    listed = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", PAGE.read_text("utf-8").split("## A")[0], re.M)
    assert set(listed) == STATUSES | {"status"}


def test_quotations_are_short_and_each_is_there_once() -> None:
    words = [(row.paper, row.words) for row in ROWS]
    assert len(set(words)) == len(words)
    assert all(re.fullmatch(r'"[^"]+"', row.words) for row in ROWS)
    assert max(len(row.words.split()) for row in ROWS) <= MOST_WORDS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.paper}{row.sentence}-{row.words}")
def test_every_command_exists_with_its_options(row: Row) -> None:
    parse(row.command)


def test_results_link_to_headings_that_exist() -> None:
    """As MyST writes anchors: small letters, no punctuation, hyphens for spaces."""
    for page, anchor in re.findall(r"\]\((\w+\.md)#([^)]+)\)", PAGE.read_text("utf-8")):
        headings = re.findall(r"^#{1,3} (.*)$", (PAGE.parent / page).read_text("utf-8"), re.M)
        slugs = {re.sub(r"[^\w -]", "", text).lower().replace(" ", "-") for text in headings}
        assert anchor in slugs


def test_data_of_the_user_are_named_in_capitals() -> None:
    for row in ROWS:
        if row.status == "needs the user's data":
            assert any(re.match(r"[A-Z]{3,}", word) for word in row.command), row


QUICKER = {
    "interrogate": ["--doses", "1"],
    "attack": ["--duration", "2", "--steps", "3"],
    "train genre": ["--batch", "20", "--epochs", "1", "--channels", "2"],
    "train rhythm": ["--batch", "8", "--epochs", "1"],
    "train prior": ["--steps", "2", "--shrink", "8", "--n-validation", "130"],
    "folk train": ["--epochs", "1", "--hidden", "8"],
    "folk sample": ["--n", "2"],
    "folk continue": ["--n", "1"],
    "maximise --model": ["--iterations", "5", "--seeds", "2"],
}
"""Options that make commands quick that have no --quick."""


def quick(row: Row) -> list[str]:
    """Return the quick form of a command."""
    words = row.command
    if words[0] == "experiment" and hasattr(EXPERIMENTS[words[1]].load()[0], "quick"):
        return [*words[:2], "--quick", "--out", "quick"]
    further = QUICKER.get(" ".join(words[:2]), QUICKER.get(words[0], []))
    return given_once([*words, *further])


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make small stand-ins for the files and folders that the page names."""
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copy(sample().path, "song.ogg")
        shutil.copytree(sample().path.parent, "songs")
        shutil.copytree("songs", "EXAMPLES")
        _make_jamendo(Path("JAMENDO"))
        for kind in ("json", "safetensors"):
            shutil.copy(BUNDLES / f"svdnet-synth.{kind}", f"SVDNET.{kind}")
        _invoke("corpus dance --out DANCES --n 32 --confounding 1")
        shutil.copytree("DANCES", "BALLROOM")
        _invoke("corpus genres --out GENRES --n 60 --n-groups 3 --seconds 4")
        _invoke("folk prepare generated:60 --out TUNES")
        shutil.copy("TUNES/train.txt", "TUNES.txt")
        _invoke("folk sample --n 2 --seed 1 --out a.abc")
        authors_file(Path("FOLKRNN.pkl"))
        test, _ = exported(folder / "heard")
        Path("ANSWERS").mkdir()
        for listener, rate in (("a", 80), ("b", 60)):
            answers = Path("ANSWERS") / f"{listener}.csv"
            write_answers(answers, test, listener, lambda *_, rate=rate: rate)
        Path("TEST").symlink_to(folder / "heard" / "test")
        lines = ["condition,item,file"]
        lines += [f"{c},1,heard/sounds/{c}/item-0.wav" for c in ("original", "worst")]
        Path("LISTENING.csv").write_text("\n".join(lines).replace("original,1", "real,1") + "\n")
    return folder


def _make_jamendo(folder: Path) -> None:
    for part in ("audio", "labels", "filelists"):
        (folder / part).mkdir(parents=True)
    shutil.copy(sample().path, folder / "audio" / "a.ogg")
    (folder / "labels" / "a.lab").write_text("0 1.5 nosing\n1.5 3 sing\n3 60 nosing\n")
    for split in ("valid", "test"):
        (folder / "filelists" / split).write_text("a.ogg\n")


def _invoke(command: str | list[str]) -> None:
    """Run a command; an interrogation or an attack ends with 1 if it finds something."""
    result = CliRunner().invoke(app, command)
    is_gate = command[0] in ("attack", "interrogate")
    assert result.exit_code in ((0, 1) if is_gate else (0,)), result.output


FORMS = sorted({tuple(quick(row)) for row in ROWS})


@pytest.mark.slow
@pytest.mark.parametrize("command", FORMS, ids=" ".join)
def test_the_quick_form_of_every_command_runs(
    command: tuple[str, ...], user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stand_in in user.iterdir():
        (tmp_path / stand_in.name).symlink_to(stand_in)
    if FEATURES in command:
        if not (features := SHARED / "data" / "ballroom" / FEATURES).is_file():
            pytest.skip("BALLROOM's features are not here")
        (tmp_path / FEATURES).symlink_to(features)
    monkeypatch.chdir(tmp_path)
    _invoke(list(command))
