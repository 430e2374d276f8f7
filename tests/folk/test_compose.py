"""Composing: what stays is unchanged, what is drawn repeats, surprise belongs to its note."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from otoscope.errors import ParameterError
from otoscope.folk.abc import Chord, Form, Note, Rest, parse_tune, to_abc
from otoscope.folk.data import generate_tune
from otoscope.folk.metrics import has_form
from otoscope.folk.model import SamplingConfig, note_nats, surprise
from otoscope.folk.tokens import get_tokeniser
from otoscope.folk.workflows.compose import (
    ComposeConfig,
    Composer,
    bar_spans,
)

TUNE = next(tune for tune in (generate_tune(0, i) for i in range(50)) if tune.meter.text == "4/4")
ABC = to_abc(TUNE, 1)


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer("folkrnn-small", [(str(i), generate_tune(0, i)) for i in range(200)])


def bars_of(abc: str) -> list[tuple[tuple[int, float], ...]]:
    tune = parse_tune(abc)
    return [
        tuple(
            (n.pitch, float(n.duration))
            for n in tune.notes
            if m.onset <= n.onset < m.onset + m.duration
        )
        for m in tune.measures
    ]


def test_spans_are_the_measures_of_tunes() -> None:
    for i in range(40):
        tune = generate_tune(0, i)
        tokens = get_tokeniser("v2").tokens(tune)
        spans = bar_spans(tokens)
        assert len(spans) == len(tune.measures)
        assert spans[-1][2] == len(tokens)
        assert all(a[2] == b[0] for a, b in pairwise(spans))


def test_surprise_is_summed_over_the_tokens_of_each_note(composer: Composer) -> None:
    text = "M:4/4\nL:1/8\nK:Cmaj\nC2 [CEG]2 z2 (3CDE|^F/2G/2 A>B c4|\n"
    tune = parse_tune(text)
    tokens = get_tokeniser("v2").tokens(tune)
    values = list(range(len(tokens)))
    sums = note_nats(tokens, values)
    written = [e for e in tune.elements if isinstance(e, Note | Chord | Rest)]
    assert len(sums) == len(written)
    apart = {i for i, t in enumerate(tokens) if t[0] in "|(" or i < 2}
    assert sum(sums) == sum(v for i, v in enumerate(values) if i not in apart)
    view = composer.view(ABC)
    assert len(view.nats) == len([e for e in TUNE.elements if isinstance(e, Note | Chord | Rest)])
    (nats,) = surprise(composer.model, [get_tokeniser("v2").tokens(TUNE)])
    assert sum(view.nats) < nats.sum()
    assert view.nats[0] == pytest.approx(nats[:-1][_of_first_note(TUNE)].sum())


def _of_first_note(tune: object) -> slice:
    tokens = get_tokeniser("v2").tokens(TUNE)
    first = next(i for i, t in enumerate(tokens) if i > 1 and t.strip("=^_,'").isalpha())
    n = 1 + (tokens[first + 1][0] in "0123456789/")
    return slice(first, first + n)


def test_kept_bars_stay_and_the_others_change(composer: Composer) -> None:
    n = len(bar_spans(get_tokeniser("v2").tokens(TUNE)))
    keep = tuple(bar for bar in range(1, n + 1) if bar % 4)
    config = ComposeConfig(n=2, seed=1, abc=ABC, keep=keep)
    first, second = composer.compose(config)
    assert composer.compose(config)[0] == first
    before = bars_of(ABC)
    for written in (first, second):
        after = bars_of(written.abc)
        assert [after[bar - 1] for bar in keep] == [before[bar - 1] for bar in keep]
        assert after != before
        lines = [parse_tune(text).measures for text in (ABC, written.abc)]
        assert [m.right.text for m in lines[0] if m.right] == [
            m.right.text for m in lines[1] if m.right
        ]
    assert first.abc != second.abc
    every = composer.compose(replace(config, keep=tuple(range(1, n + 1))))[0]
    assert bars_of(every.abc) == before


def test_a_tune_goes_on_from_a_bar_in_its_key(composer: Composer) -> None:
    config = ComposeConfig(n=2, seed=2, abc=ABC, from_bar=5)
    before = bars_of(ABC)
    for written in composer.compose(config):
        assert bars_of(written.abc)[:4] == before[:4]
        assert parse_tune(written.abc).key.abc == TUNE.key.abc
        assert written.nats > 0


def test_new_tunes_have_the_form_and_kept_bars_do_without(composer: Composer) -> None:
    sampling = SamplingConfig(bars_add_up=True, form="AABB:4")
    (new,) = composer.compose(ComposeConfig(seed=1, sampling=sampling))
    assert has_form(parse_tune(new.abc), Form.parse("AABB:4"))
    (anew,) = composer.compose(ComposeConfig(abc=ABC, keep=(1, 2), sampling=sampling))
    assert bars_of(anew.abc)[:2] == bars_of(ABC)[:2]
    with pytest.raises(ParameterError, match=r"does not fit the form AABB:4 in M:4/4"):
        composer.compose(ComposeConfig(abc=ABC, from_bar=8, sampling=sampling))


def test_transposition_moves_every_note(composer: Composer) -> None:
    (moved,) = composer.compose(ComposeConfig(abc=ABC, semitones=3))
    pairs = zip(parse_tune(moved.abc).notes, TUNE.notes, strict=True)
    assert {new.pitch - old.pitch for new, old in pairs} == {3}


def test_new_tunes_repeat_with_their_seed_whatever_their_number(composer: Composer) -> None:
    sampling = SamplingConfig(bars_add_up=True, meter="6/8", mode="min")
    four = composer.compose(ComposeConfig(n=4, seed=9, sampling=sampling))
    two = composer.compose(ComposeConfig(n=2, seed=9, sampling=sampling))
    assert [one.abc for one in four[:2]] == [one.abc for one in two]
    assert np.isfinite([one.nats for one in four]).all()


def test_a_view_judges_if_it_can(composer: Composer) -> None:
    view = composer.view(ABC).to_dict()
    assert view["judgement"]["screens"][0].name == "plagiarism"
    assert not view["judgement"]["screens"][0].passed  # it is in the reference
    assert composer.view("X:1\nM:3/4\nL:1/4\nK:C\nCDE|").judgement is None
    wrong = composer.view("X:1\nM:4/4\nK:C\nC;|").to_dict()
    assert (wrong["bars"], wrong["nats"]) == (0, ())
    assert "line 4, column 2" in wrong["remark"]
    assert "cannot read" in composer.view("X:1\nM:5/4\nL:1/4\nK:C\nCDEFG|").remark


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n": 9}, "n is 9"),
        ({"seed": -1}, "seed is -1"),
        ({"semitones": 25}, "semitones is 25"),
        ({"from_bar": 1, "keep": (1,), "abc": ABC}, "both given"),
        ({"from_bar": 1}, "without a tune"),
    ],
)
def test_bad_settings(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        ComposeConfig(**changes)  # type: ignore[arg-type]


def test_bars_out_of_the_tune_are_refused(composer: Composer) -> None:
    for changes, words in (({"from_bar": 999}, "from_bar is 999"), ({"keep": (0,)}, "bar 0")):
        with pytest.raises(ParameterError, match=words):
            composer.compose(ComposeConfig(abc=ABC, **changes))
