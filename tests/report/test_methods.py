"""The end of a report: its settings in a paragraph, and entries of the one bibliography."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from otoscope.records import versions
from otoscope.report import save_adversary, save_comparison, save_html, save_interrogation
from otoscope.report.methods.bibliography import entries, methods
from otoscope.report.methods.paragraphs import _ATTACKS, _DESIGNS, listed
from otoscope.workflows.attack_methods import METHODS
from tests.report.test_adversary import FOUND, SR
from tests.support.browser import PHONE, WIDE, opened
from tests.support.interrogations import HORSE
from tests.support.paths import ROOT
from tests.support.reports import HOSTILE, explain

BIBLIOGRAPHY = ROOT / "python" / "otoscope" / "report" / "methods" / "references.bib"


def end_of(page: Path) -> tuple[str, str]:
    """Return the paragraph and the BibTeX that a page ends with."""
    text = page.read_text("utf-8")
    (section,) = re.findall(r'<section class="whole methods".*?</section>\s*</main>', text, re.S)
    (paragraph,), (bibtex,) = (
        re.findall(rf"<{tag}>(.*?)</{tag}>", section, re.S) for tag in ("p", "pre")
    )
    return html.unescape(paragraph), html.unescape(bibtex)


def written_entry(key: str) -> str:
    """Cut an entry out of the file by its braces, without a regular expression."""
    text = BIBLIOGRAPHY.read_text("utf-8")
    start = end = text.rindex("@", 0, text.index(f"{{{key},"))
    depth = 0
    for end in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0 and text[end] == "}":
            break
    return text[start : end + 1]


def test_explanation_says_its_settings_and_cites_the_papers(tmp_path: Path) -> None:
    explanation = explain({2: 0.5})
    save_html(explanation, tmp_path / "a.html")
    paragraph, bibtex = end_of(tmp_path / "a.html")
    assert paragraph.startswith("The output “singing” of ")
    settings = explanation.settings
    for value in (settings.segments, settings.content, "1,024 coalitions", "design exact, seed 0"):
        assert str(value) in paragraph
    assert "SoundLIME (Mishra et al., 2017; Mishra et al., 2020)" in paragraph
    for name, version in versions().items():
        assert name in paragraph
        assert version in paragraph or version == "not installed"
    assert written_entry("mishra2017") in bibtex
    assert written_entry("mishra2020") in bibtex


def test_comparison_says_what_differs(tmp_path: Path) -> None:
    explanations = [explain({2: 0.5}), explain({2: 0.5}, design="kernelshap", n_samples=64)]
    save_comparison(explanations, tmp_path / "a.html")
    paragraph, bibtex = end_of(tmp_path / "a.html")
    assert "design exact and kernelshap" in paragraph
    assert "Lundberg and Lee, 2017" in paragraph
    assert written_entry("lundberg2017") in bibtex


def test_adversary_cites_its_attack(tmp_path: Path) -> None:
    sound = torch.rand(2 * SR) / 2
    save_adversary(FOUND, tmp_path / "a.html", (sound, sound), model="m", method="square")
    paragraph, bibtex = end_of(tmp_path / "a.html")
    assert "the Square attack, which uses no gradient (Andriushchenko et al., 2020)" in paragraph
    assert re.search(r"bound of 40(\.0+)?\s+dB on the signal", paragraph)
    assert "m hears “singing”" in paragraph
    assert written_entry("kereliuk2015") in bibtex


def test_every_page_of_a_result_ends_with_its_methods() -> None:
    """Those of links to other pages, and of a test that listeners take, have no result."""
    package = ROOT / "python" / "otoscope"
    without = [
        path.relative_to(package).as_posix()
        for path in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "save_page"
        if "methods" not in {keyword.arg for keyword in node.keywords}
    ]
    assert without == ["report/index.py"] * 2 + ["report/listening/page.py"]


def test_each_attack_and_design_has_known_sources() -> None:
    assert set(_ATTACKS) == set(METHODS)
    for text in (*_ATTACKS.values(), *_DESIGNS.values()):
        made = methods(f"By{text if text.startswith(' ') else ' ' + text}.", {})
        assert "@" not in made.paragraph


def test_interrogation_names_changes_and_groups(tmp_path: Path) -> None:
    save_interrogation(HORSE, tmp_path / "a.html", model="m")
    paragraph, bibtex = end_of(tmp_path / "a.html")
    assert "m was interrogated (Sturm, 2016)" in paragraph
    assert HORSE.curves[0].name in paragraph
    assert f"{len(HORSE.items):,} items" in paragraph
    assert written_entry("sturm2016horse") in bibtex


def test_names_from_users_are_escaped_and_cite_nothing(tmp_path: Path) -> None:
    sound = torch.rand(2 * SR) / 2
    model = f"{HOSTILE} [@unknown] \\1"
    save_adversary(FOUND, tmp_path / "a.html", (sound, sound), model=model)
    assert "<script>alert" not in (tmp_path / "a.html").read_text("utf-8")
    assert model in end_of(tmp_path / "a.html")[0]


def test_software_has_the_version_that_was_used() -> None:
    made = methods("A.", {"otoscope": "9.8.7", "torch": "2.6"})
    assert "with otoscope 9.8.7 (The otoscope developers, 2026), on torch 2.6." in made.paragraph
    assert "  version = {9.8.7},\n}" in made.bibtex
    assert "version" not in methods("A.", {"otoscope": "not installed"}).bibtex


def test_every_entry_can_be_cited_in_words() -> None:
    for key, entry in entries().items():
        assert entry == written_entry(key)
        words = methods(f"A [@{key}].", {}).paragraph
        assert re.match(r"A \([^{}\\@]+, (\d{4}|n\.d\.)\)\.", words), words
    assert "Rodríguez-Algarra et al., 2019" in methods("A [@rodriguez2019].", {}).paragraph


def test_lists_are_joined_in_words() -> None:
    assert listed(["a", "b", "a", "c"]) == "a, b and c"
    assert listed(["a"]) == "a"
    assert listed([]) == ""


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Any]:
    save_html(explain({2: 0.5}), tmp_path / "why.html")
    yield from opened(browser, tmp_path / "why.html")


@pytest.mark.browser
@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_bibtex_opens_and_stays_within_the_page(page: Any, size: Any) -> None:
    page.set_viewport_size(size)
    entry = page.locator(".methods pre")
    assert not entry.is_visible()
    page.locator(".methods summary").click()
    assert entry.is_visible()
    assert "@inproceedings{mishra2017," in entry.inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
