"""Decisive sets against their definition, spelled out over all subsets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain import (
    Explanation,
    SoundLIME,
    decisive_sets,
    shared_sets,
    transfer_set,
)
from otoscope.protocols import Patch
from tests.support.examples import examples

Sets = list[tuple[int, ...]]


def explain(table: Tensor, *, names: tuple[str, ...] = (), **settings: Any) -> Explanation:
    """Explain a model that looks its outputs [coalition, target] up by the bits that stay."""
    n = (len(table) - 1).bit_length()

    def model(batch: Tensor) -> Tensor:
        bits = (batch[:, 0, :, 0] > 0).long()
        return table[(bits << torch.arange(n)).sum(1)]

    model.output_names = names or tuple(f"output {i}" for i in range(table.shape[1]))  # type: ignore[attr-defined]
    settings = {"content": 0.0, "target": list(range(table.shape[1])), **settings}
    lime = SoundLIME(model, segments=f"temporal:{n}", min_r2=-9, **settings)
    return lime.explain(Patch(torch.ones(n, 1)))


def by_definition(n: int, answers: Callable[[frozenset[int]], Any]) -> tuple[Sets, Sets]:
    """Return all smallest sufficient and flipping sets."""
    every = frozenset(range(n))
    right = answers(every)

    def smallest(is_decisive: Callable[[frozenset[int]], bool]) -> Sets:
        for size in range(n + 1):
            sets = [s for s in combinations(range(n), size) if is_decisive(frozenset(s))]
            if sets:
                return sets
        return []

    return (
        smallest(lambda s: answers(s) == right),
        smallest(lambda s: answers(every - s) != right),
    )


@examples(30)
@given(n=st.integers(1, 6), seed=st.integers(0, 2**32), threshold=st.floats(0.05, 0.95))
def test_sets_are_all_the_smallest_ones(n: int, seed: int, threshold: float) -> None:
    random = torch.Generator().manual_seed(seed)
    table = torch.rand(2**n, 3, generator=random, dtype=torch.float64)
    explanation = explain(table)

    def row(kept: frozenset[int]) -> Tensor:
        return table[sum(1 << i for i in kept)]

    for decision, answers in (
        (threshold, lambda kept: bool(row(kept)[0] >= threshold)),
        ("highest", lambda kept: int(row(kept).argmax())),
    ):
        sets = decisive_sets(explanation, decision=decision)  # type: ignore[arg-type]
        sufficient, flipping = by_definition(n, answers)
        assert sorted(s.segments for s in sets.sufficient) == sufficient
        assert sorted(s.segments for s in sets.flipping) == flipping
        assert sets.sufficient_is_exact
        assert sets.flipping_is_exact
        column = explanation.targets.index(sets.target)
        for one in sets.sufficient:
            assert one.output == row(frozenset(one.segments))[column]
        for one in sets.flipping:
            assert one.output == row(frozenset(range(n)) - set(one.segments))[column]


def conjunction(*needed: int, n: int = 4, high: float = 0.9) -> Tensor:
    """The output is high if all of some segments stay."""
    rows = [[high if all(i >> s & 1 for s in needed) else 0.1] for i in range(2**n)]
    return torch.tensor(rows, dtype=torch.float64)


def test_the_clearest_set_comes_first_and_the_answer_may_be_no() -> None:
    table = conjunction(0)
    table[0b0010] = 0.95  # segment 1 alone is clearer than segment 0 alone
    assert [s.segments for s in decisive_sets(explain(table)).sufficient] == [(1,), (0,)]
    never = decisive_sets(explain(1 - conjunction(0)))  # 0.1 for the whole, 0.9 without 0
    assert (never.answer, never.is_reached) == ("not output 0", False)
    assert [s.segments for s in never.flipping] == [(0,)]


def test_nothing_is_needed_and_nothing_changes_a_constant() -> None:
    sets = decisive_sets(explain(torch.full((16, 1), 0.8, dtype=torch.float64)))
    assert [s.segments for s in sets.sufficient] == [()]
    assert sets.flipping == ()
    assert sets.flipping_is_exact


def test_an_output_at_the_threshold_reaches_it() -> None:
    sets = decisive_sets(explain(conjunction(1, high=0.5)))
    assert sets.is_reached
    assert [s.segments for s in sets.sufficient] == [(1,)]
    below = decisive_sets(explain(0.6 - conjunction(1, high=0.5)))  # 0.1; 0.5 without segment 1
    assert [s.segments for s in below.flipping] == [(1,)]


@pytest.mark.filterwarnings("ignore::otoscope.explain.FewEffectiveSamples")
def test_a_table_with_gaps_says_what_it_does_not_know() -> None:
    sets = decisive_sets(explain(conjunction(1, 2), design="leave_one_out"))
    assert [s.segments for s in sets.flipping] in ([(1,), (2,)], [(2,), (1,)])
    assert sets.flipping_is_exact
    assert [s.segments for s in sets.sufficient] == [(0, 1, 2)] or not sets.sufficient_is_exact
    drawn = decisive_sets(explain(conjunction(1, 2), design="bernoulli", n_samples=3))
    assert not drawn.sufficient_is_exact


def test_each_draw_of_a_coalition_must_hold() -> None:
    explanation = explain(conjunction(0))
    again = explanation.outputs.clone()
    again[(explanation.keep == torch.tensor([True, False, False, False])).all(1)] = 0.3
    drawn = replace(
        explanation,
        keep=torch.cat([explanation.keep, explanation.keep]),
        outputs=torch.cat([explanation.outputs, again]),
    )
    sets = decisive_sets(drawn)
    assert sorted(s.segments for s in sets.sufficient) == [(0, 1), (0, 2), (0, 3)]
    assert [s.segments for s in sets.flipping] == [(0,)]
    assert sets.flipping[0].output == pytest.approx(0.1)


def test_log_odds_are_decided_at_zero_and_logits_need_a_threshold() -> None:
    table = conjunction(3)
    odds = decisive_sets(explain(table, link="log_odds"))
    assert odds.decision == 0
    assert [s.segments for s in odds.sufficient] == [(3,)]
    logits = explain(10 * table)
    with pytest.raises(ParameterError, match=r"the outputs lie in \[1, 9\] and are no prob") as err:
        decisive_sets(logits)
    assert "decision" in str(err.value)
    assert decisive_sets(logits, decision=5).sufficient[0].segments == (3,)
    assert decisive_sets(explain(10 * table, decision=5.0)).decision == 5


@pytest.mark.parametrize("decision", ["high", float("nan"), "inf"])
def test_another_decision_is_refused(decision: Any) -> None:
    with pytest.raises(ParameterError, match="must be a finite threshold or 'highest'"):
        explain(conjunction(0), decision=decision)


def test_highest_needs_several_targets() -> None:
    with pytest.raises(ParameterError, match="decision is 'highest', and of 1 outputs only"):
        explain(conjunction(0), decision="highest")
    with pytest.raises(ParameterError, match="'highest', and only 'output 0' was explained"):
        decisive_sets(explain(conjunction(0)), decision="highest")


def test_records_and_documents_carry_the_sets() -> None:
    explanation = explain(conjunction(0, 2), decision=0.4)
    stored = json.loads(json.dumps(explanation.to_record()))["decisive_sets"]
    assert stored["decision"] == 0.4
    assert [s["segments"] for s in stored["sufficient"]] == [[0, 2]]
    again = Explanation.from_json(explanation.to_json())
    assert decisive_sets(again) == decisive_sets(explanation)
    assert explain(10 * conjunction(0)).to_record()["decisive_sets"] is None


def test_sets_are_counted_over_contents() -> None:
    first, second = explain(conjunction(0)), explain(conjunction(0, 1))
    sparse = explain(conjunction(0), design="leave_one_out")
    rows = {(s.kind, s.segments): s.holds for s in shared_sets([first, second, sparse])}
    assert rows[("sufficient", (0,))] == (True, False, None)
    assert rows[("sufficient", (0, 1))] == (True, True, None)
    assert rows[("flipping", (0,))] == (True, True, True)
    assert rows[("flipping", (1,))] == (False, True, False)
    other = explain(conjunction(0, n=3))
    with pytest.raises(ParameterError, match="the segments differ: temporal"):
        shared_sets([first, other])


class Loud:
    """A model of sound that answers by the loudness of its second half; others may be longer."""

    sample_rate, hop_length, n_mels, differentiable = 1000, 10, 1, False

    def __init__(self, frames: int, names: tuple[str, ...] = ("loud",)) -> None:
        self.patch_frames, self.output_names, self.name = frames, names, f"loud {frames}"

    def patch(self, sound: Any, *, start: float = 0.0) -> Patch:
        y, sr = sound
        first = round(start * sr)
        part = y[first : first + self.patch_frames * self.hop_length]
        assert len(part) == self.patch_frames * self.hop_length
        return Patch(part.reshape(self.patch_frames, -1).abs().mean(1, keepdim=True))

    def __call__(self, batch: Tensor) -> Tensor:
        half = (batch[:, 0, batch.shape[2] // 2 :].mean((1, 2)) > 0.1).double()
        return torch.stack([half] * len(self.output_names), 1)


def sounding() -> Explanation:
    lime = SoundLIME(
        lambda y: (y[:, 600:].abs().mean(1, keepdim=True) > 0.1).double(),
        components="time:2,0",
        content=0.0,
        min_r2=-9,
    )
    return lime.explain((torch.ones(1000), 1000))


def test_another_model_hears_the_sufficient_sound() -> None:
    explanation = sounding()
    assert decisive_sets(explanation).sufficient[0].segments == (1,)
    same = transfer_set(explanation, Loud(100))  # type: ignore[arg-type]
    assert (same.accepts, same.agrees, same.model) == (True, True, "loud 100")
    other = transfer_set(explanation, Loud(100), segments=[0])  # type: ignore[arg-type]
    assert (other.accepts, other.agrees, other.segments) == (False, True, (0,))
    assert transfer_set(explanation, Loud(40)).accepts  # type: ignore[arg-type]  # shorter: slides
    longer = transfer_set(explanation, Loud(150))  # type: ignore[arg-type]  # silence follows
    assert longer.output_excerpt == 1


def test_another_model_without_that_output_is_refused() -> None:
    with pytest.raises(ParameterError, match="the other model has no output 'output 0'"):
        transfer_set(sounding(), Loud(100, ("a", "b")))  # type: ignore[arg-type]
    assert transfer_set(sounding(), Loud(100, ("a", "b")), target="b").target == "b"  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="no sound"):
        transfer_set(explain(conjunction(0)), Loud(100))  # type: ignore[arg-type]
