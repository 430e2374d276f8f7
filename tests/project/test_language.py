"""Docstrings, help texts and pages avoid the phrases that docs/explanation/style.md rejects."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

UNITS = (
    "second|minute|token|band|frame|row|column|bin|item|tune|song|file|sample|level|batch|measure|"
    "segment|patch|class|line|command|module|thread|tempo|dose|channel|note|bar|beat|octave|unit|"
    "layer|step|output|label|group|key|draw|call|process|core|bit|part|paper|experiment|kernel|"
    "operator"
)
COUNTED = (
    "samples|frames|nats|bits|values?|numbers?|seeds?|rows?|records?|pages?|tests?|modules?|"
    "commands?|threads?|quarters|notes|measures|chords?|hits?|steps?|gradients?|lines?|files?|"
    "columns?|floats|bytes|times|words?|sections?|semitones|cents|ticks|points?|dB|outputs?|draws?"
)
ANYWHERE = {
    "write 'per'": re.compile(rf"\b(?<!name )(?:{COUNTED}) an? (?:{UNITS})\b"),
    "write the number": re.compile(r"\bso many\b", re.IGNORECASE),
    "write who": re.compile(r"\bnobody\b", re.IGNORECASE),
}
FIRST_LINE = re.compile(r"^(?:What|Where|Of|How) ")
HEADING = re.compile(
    r"^ *((?:Parameters|Attributes|Returns|Yields|Raises|Warns|Notes|References|Examples)"
    r"(?: *$(?!\n *---)| -{3,}.*))",
    re.MULTILINE,
)
FRAGMENT = re.compile(r"\n *\w[\w, *]* : [^\n]*\n +(Of [^\n]*)")
VERBS = re.compile(
    r"\b(?:names?|give|write|read|lists?|calls?|makes?|tests?|measures?|notes?) an? "
)

SOURCES = sorted((ROOT / "python").rglob("*.py"))
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    if path.name != "style.md" and "generated" not in path.parts and "_build" not in path.parts
)


def faults_anywhere(text: str) -> Iterator[str]:
    """Phrases that are rejected wherever they stand; verbs with an object are no rates."""
    for advice, pattern in ANYWHERE.items():
        for match in pattern.finditer(text):
            if not VERBS.match(match[0]):
                yield f"{match[0]!r}: {advice}"


def faults_of_docstring(text: str) -> Iterator[str]:
    """Phrases that are rejected in a docstring."""
    yield from faults_anywhere(text)
    if FIRST_LINE.match(text.strip()):
        yield f"first line {text.strip().splitlines()[0]!r}: begin with a verb"
    for match in HEADING.finditer(text):
        yield f"{match[1]!r}: underline the heading, on the line below it"
    for match in FRAGMENT.finditer(text):
        yield f"{match[1]!r}: a description is a noun phrase that stands alone"


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield node.body[0].lineno, text


def test_docstrings_and_texts_of_modules() -> None:
    faults = []
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = [(line, fault) for line, t in docstrings(tree) for fault in faults_of_docstring(t)]
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts += [(node.lineno, fault) for fault in faults_anywhere(node.value)]
        faults += [f"{path.relative_to(ROOT)}:{line}: {fault}" for line, fault in texts]
    assert not faults, "\n".join(dict.fromkeys(faults))


def test_comments_and_docstrings_of_all_sources() -> None:
    faults = []
    for folder in ("python", "tests", "benchmarks", "csrc"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in (".py", ".h", ".cpp", ".cu") or path == Path(__file__):
                continue
            source = path.read_text(encoding="utf-8")
            texts = re.findall(r"(?:#|//) (.*)", source)
            if path.suffix == ".py":
                texts += [text for _, text in docstrings(ast.parse(source))]
            faults += [
                f"{path.relative_to(ROOT)}: {fault}"
                for text in texts
                for fault in faults_anywhere(text)
            ]
    assert not faults, "\n".join(faults)


def test_pages() -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{number}: {fault}"
        for path in PAGES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for fault in faults_anywhere(line)
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("text", "is_rejected"),
    [
        ("Rate in samples a second.", True),
        ("Rate in samples per second.", False),
        ("What a model says.", True),
        ("Score a model.\n\nseed : int\n    Of whatever is drawn.", True),
        ("Score a model.\n\nseed : int\n    Random seed.", False),
        ("Score a model.\n\nNotes ----- The score is a mean.", True),
        ("Score a model.\n\nNotes\nThe score is a mean.", True),
        ("Score a model.\n\nNotes\n-----\nThe score is a mean.", False),
        ("Up to so many.", True),
        ("Nobody wrote it.", True),
        ("Write a file.", False),
    ],
)
def test_the_gate_finds_what_it_is_for(text: str, is_rejected: bool) -> None:
    assert bool(list(faults_of_docstring(text))) == is_rejected
