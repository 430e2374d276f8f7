"""Bars that add up: judged by metrics.tunes, which knows nothing of the grammar."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope.folk.abc import Meter, Tune
from otoscope.folk.metrics import ClassifiedMeasure, classify_measures
from otoscope.folk.model import FolkModel, SamplingConfig, sample
from otoscope.folk.model.rules.measure_grammar import MeasureGrammar
from otoscope.folk.tokens import Vocabulary, get_tokeniser
from tests.support.examples import examples
from tests.support.tunes import VOCABULARY, folk_model

GRAMMAR = MeasureGrammar(VOCABULARY)


def wrong_measures(tune: Tune) -> list[ClassifiedMeasure]:
    """Measures that are wrong when the tune is played, repeats and endings and all."""
    return [measure for measure in classify_measures(tune) if measure.is_wrong]


def bar_loving_model(seed: int) -> FolkModel:
    """A model that ends measures and tunes soon, and chords too."""
    model = folk_model(seed=seed)
    with torch.no_grad():
        for token, more in (
            ("|", 2),
            (":|", 2),
            ("]", 2),
            ("</s>", 1),
            ("[", -2),
            ("(3", 1),
            ("|2", 3),
            ("z", -9),
        ):
            model.network.output.bias[VOCABULARY.encode([token])[0]] += more
    return model


@pytest.mark.parametrize("meter", ["4/4", "6/8", "3/4"])
def test_a_masked_tune_has_no_bad_bar_and_can_be_read(meter: str) -> None:
    rules = SamplingConfig(bars_add_up=True, max_tokens=300, meter=meter)
    tunes = [t for t in sample(bar_loving_model(1), 80, settings=rules) if t.is_finished]
    assert len(tunes) > 60
    kinds: set[str] = set()
    for made in tunes:
        assert made.masked_nats > 0
        tune = get_tokeniser("v2").tune(made.tokens)
        assert not wrong_measures(tune), " ".join(made.tokens)
        kinds |= {
            "full" if measure.duration == tune.meter.length else "part of one"
            for measure in tune.measures
        }
        kinds |= {token for token in made.tokens if token in ("(3", "/2>", ">", "[", "|2", "-")}
    assert kinds == {"full", "part of one", "(3", "/2>", ">", "[", "|2", "-"}


def test_without_the_mask_bars_do_go_wrong() -> None:
    made = sample(bar_loving_model(1), 20, settings=SamplingConfig(max_tokens=300))
    assert all(tune.masked_nats < 60 for tune in made)
    assert not any(holds(tune.tokens) for tune in made if len(tune.tokens) > 10)


def holds(tokens: tuple[str, ...], grammar: MeasureGrammar = GRAMMAR) -> bool:
    """Whether the grammar takes a whole tune."""
    state = grammar.begin(tokens[0])
    for token in grammar.vocabulary.encode([*tokens[2:], "</s>"]):
        following = grammar.after(state, token)
        if following is None:
            return False
        state = following
    return True


@pytest.mark.parametrize(
    "body",
    [
        "C 4 D 4 | E 4 F 4 |",
        "C 4 D 4 | E 4 F 4",
        "|: C 4 D 4 :| |: E 4 F 4 :|",
        "C 2 | D 4 E 4 | F 4 G 2 :|",  # the end is short by the pickup
        "C 2 | D 4 E 4 | F 4 G 2 |",
        "C 2 | D 4 E 4 | F 4 G 2 | A 2 | D 4 E 4 | F 4 G 2 |",  # parts that are not repeated
        "|: C 2 | D 4 E 4 | F 4 G 2 :| |: A 2 | D 4 E 4 | F 4 G 2 :|",
        "C 4 D 4 |1 E 4 F 4 :| |2 G 4 A 4 |",
        "C 2 | D 4 E 4 |1 F 4 G 2 :| |2 F 4 G 2 |: A 2 | D 4 E 4 | F 4 G 2 :|",
        "C 2 |: D 4 E 4 | F 4 G 4 :|",  # a pickup to the repeat, not of it
        "C > D E /2> F /2 G 2 A < B |",  # 2 + 1 + ... : 1.5 + .5 + .75 + .25 + 3 + .5 + 1.5 = 8
        "(3 C D E [ C E G ] 2 z 2 (3 A /2 B /2 c /2 d - |",
        "C 2 D 2 E 2 F - G |",
    ],
)
def test_music_is_allowed(body: str) -> None:
    assert holds(("M:4/4", "K:Cmaj", *body.split()))


@pytest.mark.parametrize(
    "body",
    [
        "C 4 D 4 | E 4 F 3 | G |",  # short
        "C 4 D 4 | E 4 F 4 G |",  # long
        "C 2 | D 4 E 4 | F 4 G 4 :|",  # with the pickup, the end is too long to be repeated
        "C 2 | D 4 E 4 | F 4 G 2 :| D 4 E 4 |",  # and the next part too
        "C 2 | D 4 E 4 | F 4 G 3 :|",  # the end does not fit the pickup
        "C 2 | D 4 E 4 | F 4 G 2 | F 4 G 4 |",  # a part that begins without the pickup
        "C 2 | D 4 E 2 |",  # a part without a full bar
        "C 4 D 4 E 4 |",  # a pickup is no longer than a measure
        "C 4 D 4 | E 4",  # not complete
        "C 4 D 4 |:",  # a part that has no end
        "C 4 D 4 | | E 4 F 4 |",
        "C 4 D 4 :| |2 E 4 F 4 |",  # a second ending without a first
        "C 4 D 4 |1 E 4 F 4 :|",  # and the other way round
        "C 4 D 4 |1 E 4 F 4 |: C 4 D 4 :|",
        "C 4 D 4 |1 E 4 F 4 |",
        "(3 C D | E C 4 D 2 |",  # a tuplet over a bar
        "C 3 > | D C 4 |",
        "[ C | E ] C 4 D 4 |",
        "[ C 2 E ] D 4 |",
        "[ C E G B d ] 4 D 4 |",  # of more notes than an instrument of folk music has
        "[ ] 4 D 4 |",
        "2 C 4 D 2 |",
        "z - C 4 D 2 |",  # a tie of silence
        "C 4 D 4 K:Cdor |",
        "C 4 D 4 | M:6/8 |",
    ],
)
def test_what_does_not_add_up_is_not(body: str) -> None:
    assert not holds(("M:4/4", "K:Cmaj", *body.split()))


WITH_TUPLETS = MeasureGrammar(
    Vocabulary.of([["C", "z", "|", "2", "/2", "3/2", "/2>", *(f"({p}" for p in range(2, 10))]])
)


@pytest.mark.parametrize("meter", ["2/4", "3/4", "4/4", "3/2", "6/8", "9/8", "12/8"])
@pytest.mark.parametrize("length", ["/2", "", "2"])
@pytest.mark.parametrize("p", range(2, 10))
def test_grammar_and_notation_agree_on_tuplets(p: int, length: str, meter: str) -> None:
    """A measure with a tuplet and half rests is full in one exactly if it is in the other."""
    length_in_meter = Meter.parse(meter).length
    assert length_in_meter is not None
    full = ["z"] * int(8 * length_in_meter)
    agreed = []
    for n_rests in range(2 * len(full) + 1):
        tuplet = [f"({p}", *["C", length] * p]
        body = [*full, "|", *tuplet, *["z", "/2"] * n_rests, "|"]
        tokens = (f"M:{meter}", "K:Cmaj", *filter(None, body))
        is_full = get_tokeniser("v2").tune(tokens).measures[1].duration == length_in_meter
        assert holds(tokens, WITH_TUPLETS) == is_full, " ".join(tokens)
        agreed.append(is_full)
    in_time = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(p, 3 if meter in ("6/8", "9/8", "12/8") else 2)
    fits = in_time * {"/2": 0.5, "": 1, "2": 2}[length] <= len(full)
    assert agreed.count(True) == fits


@examples(50)
@given(data=st.data(), meter=st.sampled_from(["M:4/4", "M:6/8", "M:3/4", "M:5/4", "M:3/2"]))
def test_there_is_always_a_way_on(data: st.DataObject, meter: str) -> None:
    state = GRAMMAR.begin(meter)
    for _ in range(40):
        allowed = GRAMMAR.allowed(state).nonzero()[0].tolist()
        assert allowed
        assert VOCABULARY.start not in allowed
        token = data.draw(st.sampled_from(allowed))
        if token == VOCABULARY.stop:
            return
        following = GRAMMAR.after(state, token)
        assert following is not None
        state = following


def test_a_vocabulary_without_lengths_still_fills_its_bars() -> None:
    vocabulary = Vocabulary.of([["M:2/4", "K:Cmaj", "C", "|"]])
    grammar = MeasureGrammar(vocabulary)
    state = grammar.begin("M:2/4")
    for _ in range(4):
        following = grammar.after(state, vocabulary.encode(["C"])[0])
        assert following is not None
        state = following
    allowed = [vocabulary.tokens[token] for token in grammar.allowed(state).nonzero()[0]]
    assert allowed == ["</s>", "|"]


def test_a_prime_is_gone_on_from_within_its_bar() -> None:
    prime = ("C", "4", "D", "4", "|", "E", "2", "F")
    rules = SamplingConfig(bars_add_up=True, max_tokens=200, prime=prime)
    made = [tune for tune in sample(bar_loving_model(2), 20, settings=rules) if tune.is_finished]
    assert made
    assert {tune.tokens[0] for tune in made} == {"M:4/4"}, "6/8 and 3/4 have no room for it"
    for tune in made:
        assert not wrong_measures(get_tokeniser("v2").tune(tune.tokens))
