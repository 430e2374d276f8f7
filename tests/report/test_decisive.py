"""Decisive sets and interactions on pages: what they say, and what is heard."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from otoscope.explain import Explanation, Transfer, decisive_sets
from otoscope.protocols import Patch
from otoscope.report import save_comparison, save_html, sets_in_common
from otoscope.report.decisive import decisive_view, interaction_rows
from otoscope.report.sounds import decisive_players, segment_sounds
from tests.support.reports import explain

NBSP = "\N{NO-BREAK SPACE}"


@pytest.fixture(scope="module")
def two() -> Explanation:
    """Explain 0.3 + 0.25 + 0.25 + 0.1: two of the first three are enough with the first."""
    return explain({2: 0.3, 3: 0.25, 7: 0.25, 8: 0.1})


def view_text(explanation: Explanation) -> list[str]:
    view = decisive_view(explanation)
    assert view is not None
    lines = [view.heading, view.sufficient, view.flipping]
    return [line.replace(NBSP, " ") for line in lines]


def test_sentences_say_the_answer_the_sets_and_their_ties(two: Explanation) -> None:
    heading, sufficient, flipping = view_text(two)
    assert heading == "The answer is “singing” (at least 0.50)"
    assert sufficient == (
        "With 3.0–4.0 s alone “singing” is 0.55: the same answer. Nothing smaller is enough; "
        "3 sets of 2 segments do it."
    )
    assert flipping.startswith("Without 3.0–4.0 s “singing” is 0.35: another answer. Nothing sm")
    view = decisive_view(two)
    assert view is not None
    (_, ties), _ = view.ties
    assert ties[0].replace(NBSP, " ") == "3.0–4.0 s (0.55)"
    assert len(ties) == 3


def test_many_ties_are_counted() -> None:
    view = decisive_view(explain({i: 0.1 for i in range(10)}))
    assert view is not None
    assert view.ties[0][1][-1] == "and 246 more"  # of 10 over 5


def test_constants_other_designs_and_logits() -> None:
    assert view_text(explain({}, offset=0.8))[1:] == [
        "No part of the excerpt is needed: with everything replaced “singing” is 0.80, and the "
        "answer is the same.",
        "No removal changes it.",
    ]
    drawn = view_text(explain({2: 0.8}, design="bernoulli", n_samples=60))
    assert drawn[1].endswith("among the coalitions that were evaluated.")
    assert decisive_view(explain({2: 8.0})) is None
    assert not decisive_players(replace(explain({2: 0.8}), patch=Patch(torch.ones(100, 40))))


def test_players_play_the_sets_and_no_sound_is_there_twice(two: Explanation) -> None:
    players = {player.label: player for player in decisive_players(two)}
    sounds = {sound.key: sound for sound in segment_sounds(two)}
    enough = players["The smallest part that keeps it"]
    assert enough.note == "the model gives 0.55"
    assert sounds[enough.key].uri
    three = explain({2: 0.5, 3: 0.3})  # evidence and smallest flipping set differ; rest is shared
    keys = [player.key for player in decisive_players(three)]
    assert set(keys) <= {sound.key for sound in segment_sounds(three)}
    same = explain({2: 0.9})
    assert [player.key for player in decisive_players(same)] == ["support", "rest"]
    assert "enough" not in {sound.key for sound in segment_sounds(same)}


def test_page_has_the_section_the_matrix_and_the_players(two: Explanation, tmp_path: Path) -> None:
    save_html(two, tmp_path / "why.html")
    text = (tmp_path / "why.html").read_text("utf-8")
    assert "What is enough, and what changes the answer" in text
    assert text.count('data-play="enough"') == 1
    assert text.count('id="sound-enough"') == 1
    assert "How segments act together" in text
    save_html(explain({2: 8.0}), tmp_path / "logits.html")
    assert "What is enough" not in (tmp_path / "logits.html").read_text("utf-8")


def test_matrix_holds_the_interactions() -> None:
    explanation = explain({2: 0.5, 3: 0.3})
    index = torch.zeros(10, 10, dtype=torch.float64)
    index[1, 4] = index[4, 1] = -0.25
    fit = replace(explanation.fits[0], interactions=index)
    rows = interaction_rows(replace(explanation, fits=(fit,)))
    assert rows[1].cells[4] == ("−0.25", "against", "100%")
    assert rows[1].cells[1][0] == ""
    assert interaction_rows(explain({2: 0.5}, design="kernelshap")) == []


def test_comparison_counts_contents_and_says_what_models_accept(tmp_path: Path) -> None:
    first, second = explain({2: 0.9}), explain({2: 0.3, 3: 0.4})
    assert [s.count for s in sets_in_common([first, second])] == [(2, 2), (1, 2), (2, 2), (1, 2)]
    transfer = Transfer("other", "singing", (2,), 0.9, 0.12, agrees=True, accepts=False)
    path = tmp_path / "compared.html"
    save_comparison([first, second], path, transfers=[(transfer, None), (None, None)])
    text = re.sub(r"\s+", " ", path.read_text("utf-8").replace(NBSP, " "))
    assert '<td data-name="Role">alone keeps the answer</td>' in text
    assert "does not (0.12; whole 0.90)" in text
    assert "<th>other</th><th>another</th>" in text
    assert decisive_sets(first).sufficient[0].segments == (2,)
