"""Tunes with a form, judged by a reader of tokens that knows nothing of the grammar."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.folk.abc import Form
from otoscope.folk.metrics import has_form
from otoscope.folk.model import FolkModel, SampledTune, SamplingConfig, sample
from otoscope.folk.model.draw import draw
from otoscope.folk.model.rules.form_grammar import FormGrammar
from otoscope.folk.tokens import Vocabulary, get_tokeniser
from tests.support.tunes import folk_model, network

PLAIN = Vocabulary.of([["M:2/4", "K:Cmaj", "|", "|:", ":|", "|1", "|2", *"CDEGz", "2", "3", "/2"]])
FORMS = ["AABB:4", "ABAC:4", "AABA:4", "AAABB:5", "AB:2", "ABA:8 C:3", "AABBAA:2", "ABBA:4"]

Bar = tuple[Fraction, str]  # length in eighths, tokens


def plain_model(seed: int) -> FolkModel:
    """A model of few tokens."""
    model = FolkModel(network(len(PLAIN), seed=seed), PLAIN)
    with torch.no_grad():
        for token, more in (("|:", 1), ("</s>", -1), ("/2", -1)):
            model.network.output.bias[PLAIN.encode([token])[0]] += more
    return model


def played(body: str) -> list[str]:
    """Bars of a body with its repeats played, by cutting its text."""
    out, rest = "", body
    while ":|" in rest:
        passes, _, rest = rest.partition(":|")
        before, mark, passes = passes.rpartition("|:") if "|:" in passes else ("", "", passes)
        head, ending, first = passes.partition("|1")
        if ending:
            second, mark, tail = rest.partition("|2")[2].partition("|:")
            rest = f"{mark} {tail}"
        else:
            first = second = ""
        out += f" {before} | {head} | {first} | {head} | {second} |"
    text = f"{out} {rest}".replace("|:", "|").replace("|2", "|")
    return [bar.strip() for bar in text.split("|") if bar.strip()]


def length(bar: str) -> Fraction:
    """Eighths of a bar of pitches and lengths."""
    values = re.findall(r"[A-Gz]( /?\d)?", bar)
    return sum(
        (Fraction(value.strip().replace("/2", "1/2") or "1") for value in values), Fraction()
    )


def bars_of(tune: SampledTune, full: int = 4) -> list[str]:
    """Bars without the pickup; two short ones that make up one are joined."""
    bars: list[str] = []
    missing = Fraction(0)
    for index, bar in enumerate(played(" ".join(tune.tokens[2:]))):
        if missing and length(bar) == missing:
            bars[-1] += f" + {bar}"
            missing = Fraction(0)
        elif index or length(bar) >= full:
            bars.append(bar)
            missing = max(full - length(bar), Fraction(0))
    return bars


def notes_of(bars: list[str]) -> list[list[tuple[Fraction, str]]]:
    """Onset and pitch of the notes of each bar."""
    out = []
    for bar in bars:
        at, notes = Fraction(0), list[tuple[Fraction, str]]()
        for note in re.finditer(r"[A-Gz](?: /?\d)?", bar):
            notes += [(at, note[0][0])] * (note[0][0] != "z")
            at += length(note[0])
        out.append(notes)
    return out


def detected(tune: SampledTune, lengths: list[int], letters: str) -> bool:
    """Whether sections of one letter, and of no others, are alike before their last quarter."""
    bars, heads = bars_of(tune), dict[str, list[str]]()
    if len(bars) != sum(lengths):
        return False
    for letter, n in zip(letters, lengths, strict=True):
        section, bars = bars[:n], bars[n:]
        if heads.setdefault(letter, section[: n - max(1, n // 4)]) != section[: n - max(1, n // 4)]:
            return False
    played_heads = [notes_of(head) for head in heads.values()]
    return all(a != b for a, b in combinations(played_heads, 2))


@pytest.mark.parametrize("text", FORMS)
def test_a_tune_has_the_form_that_was_asked_for_and_its_bars_add_up(text: str) -> None:
    form = Form.parse(text)
    letters, lengths = zip(*form.sections, strict=True)
    settings = SamplingConfig(form=text, bars_add_up=True, max_tokens=2000)
    tunes = sample(plain_model(1), 30, settings=settings)
    tokens = set[str]()
    for tune in tunes:
        assert tune.is_finished
        assert tune.masked_nats > 0
        assert detected(tune, list(lengths), "".join(letters)), " ".join(tune.tokens)
        assert all(length(bar) == 4 for bar in bars_of(tune)[:-1])
        tokens |= set(tune.tokens)
    assert (":|" in tokens) == any(section.is_repeated for section in form.written)
    pickups = [length(" ".join(tune.tokens[2:]).strip("|: ").split("|")[0]) < 4 for tune in tunes]
    assert any(pickups)
    assert not all(pickups)


@pytest.mark.parametrize("text", FORMS)
def test_a_tune_has_the_form_whatever_its_bars_hold(text: str) -> None:
    """Bars of this model have any length; the plain reader joins short ones as always."""
    letters, lengths = zip(*Form.parse(text).sections, strict=True)
    model = plain_model(2)
    with torch.no_grad():  # notes and bar lines alone
        model.network.output.bias[PLAIN.encode(["2", "3", "/2", "M:2/4", "K:Cmaj"])] -= 100
    tunes = sample(model, 40, settings=SamplingConfig(form=text, max_tokens=4000))
    lasting = set[bool]()
    for tune in tunes:
        assert tune.is_finished
        assert detected(tune, list(lengths), "".join(letters)), " ".join(tune.tokens)
        lasting |= {length(bar) == 4 for bar in bars_of(tune)}
    assert lasting == {False, True}


@pytest.mark.parametrize("bars_add_up", [True, False])
@pytest.mark.parametrize("text", ["ABAC:4", "AABB:8", "AB:2", "AABBCC:4 D:8"])
@pytest.mark.parametrize("note", ["C", "z"])
def test_a_model_that_repeats_itself_writes_other_sections(
    text: str, note: str, bars_add_up: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the rule, its sections are mostly the same."""
    lengths_of = ["4"] if bars_add_up else []
    tokens = Vocabulary.of([["M:2/4", "K:Cmaj", "|", "|:", ":|", *"CDEz", *lengths_of]])
    model = FolkModel(network(len(tokens), seed=1), tokens)
    with torch.no_grad():
        model.network.output.bias[tokens.encode([note])] += 8
        model.network.output.bias[tokens.encode(lengths_of or ["|"])] += 12
        model.network.output.bias[tokens.encode(["M:2/4", "K:Cmaj"])] -= 100
    settings = SamplingConfig(form=text, bars_add_up=bars_add_up, max_tokens=4000)
    letters, lengths = zip(*Form.parse(text).sections, strict=True)
    for tune in sample(model, 12, settings=settings):
        assert tune.is_finished
        assert detected(tune, list(lengths), "".join(letters)), " ".join(tune.tokens)
        assert has_form(get_tokeniser("v2").tune(tune.tokens), Form.parse(text))
    monkeypatch.setattr(FormGrammar, "_likeness", lambda *_: ())
    tunes = sample(model, 12, settings=settings)
    assert sum(detected(tune, list(lengths), "".join(letters)) for tune in tunes) < 6


def allowed_after(grammar: FormGrammar, tokens: str) -> set[str]:
    """Tokens that may follow some of a body in 2/4."""
    state = grammar.begin("M:2/4")
    for token in grammar.vocabulary.encode(tokens.split(" ")):
        after = grammar.after(state, token)
        assert after is not None
        state = after
    return {grammar.vocabulary.tokens[i] for i in np.flatnonzero(grammar.allowed(state))}


def test_pitches_that_are_one_in_some_key_are_no_difference() -> None:
    tokens = Vocabulary.of([["M:2/4", "K:Cmaj", "K:Cmin", "|", ":|", "C", "E", "_E", "D", "4"]])
    grammar = FormGrammar(tokens, Form.parse("AB:2"), "v2", bars_add_up=True)
    assert allowed_after(grammar, "E 4 | C 4 |") == {"C", "D"}
    other = Vocabulary.of([[*tokens.tokens[2:], "[", "]", "F"]])  # a chord is all its pitches
    grammar = FormGrammar(other, Form.parse("AB:2"), "v2")
    allowed = allowed_after(grammar, "[ C E ] 4 | C 4 | [")
    assert allowed & {"C", "E", "_E", "D", "F"} == {"D", "F"}


def test_the_model_says_where_a_bar_ends_and_the_form_by_which_line() -> None:
    """Forbidding the model's bar lines would leave it to go on with notes in a full bar."""
    allowed, kind = np.array([[True, False, True, False]]), np.array([False, True, True, False])
    logits = np.log([[0.09, 0.9, 0.01, 0.0 + 1e-9]])
    drawn = [
        draw(logits, allowed, np.array([x]), SamplingConfig(), kind)[0][0]
        for x in np.linspace(0, 0.999, 1000)
    ]
    assert np.bincount(drawn, minlength=4).tolist() == pytest.approx([90, 0, 910, 0], abs=1)
    (token,), _, (nats,) = draw(logits, allowed, np.array([0.5]), SamplingConfig(), kind)
    assert (token, nats) == (2, pytest.approx(np.log(0.91 / 0.01)))
    (token,), _, (nats,) = draw(logits, allowed, np.array([0.0]), SamplingConfig(), kind)
    assert (token, nats) == (0, pytest.approx(0.0, abs=1e-8))
    none = np.array([[True, False, False, True]])  # no bar line may follow: notes get it all
    assert draw(logits, none, np.array([0.5]), SamplingConfig(), kind)[0][0] == 0


def test_copies_vary_at_the_ending_and_only_there() -> None:
    settings = SamplingConfig(form="AABB:8", bars_add_up=True)
    first_endings = 0
    for tune in sample(plain_model(3), 40, settings=settings):
        bars = bars_of(tune)
        assert bars[:6] == bars[8:14]
        first_endings += bars[6:8] != bars[14:16]
    assert 0 < first_endings < 40


def test_the_metric_and_the_plain_reader_agree() -> None:
    """On tunes of several forms, asked for each of them; of letters that are alike it says no."""
    tunes = [
        tune
        for text in FORMS[:4]
        for tune in sample(
            plain_model(4), 8, settings=SamplingConfig(form=text, bars_add_up=True, max_tokens=2000)
        )
    ]
    agreed = 0
    for text in FORMS[:4]:
        form = Form.parse(text)
        letters, lengths = zip(*form.sections, strict=True)
        for tune in tunes:
            plain = detected(tune, list(lengths), "".join(letters))
            ours = has_form(get_tokeniser("v2").tune(tune.tokens), form)
            assert plain or not ours
            agreed += plain == ours
    assert agreed >= 120


def test_the_same_tune_in_every_batch() -> None:
    settings = SamplingConfig(form="AAB:4", bars_add_up=True, max_tokens=400)
    wanted = sample(folk_model(gain=2), 6, seed=5, batch=6, settings=settings)
    assert sample(folk_model(gain=2), 6, seed=5, batch=2, settings=settings) == wanted


def test_a_prime_begins_the_form_or_is_refused() -> None:
    prime = ("C", "2", "D", "2", "|", "E", "2", "G", "2", "|")
    settings = SamplingConfig(form="AABB:4", bars_add_up=True, prime=prime)
    for tune in sample(plain_model(1), 5, settings=settings):
        assert tune.tokens[2:12] == prime
        assert detected(tune, [4] * 4, "AABB")
    for wrong, place in ((("C", "2", "D", "2", ":|"), 5), (("|1",), 1), ((*prime, ":|"), 11)):
        with pytest.raises(ParameterError) as caught:
            sample(plain_model(1), 1, settings=SamplingConfig(form="AABB:4", prime=wrong))
        assert f"prime token {place}, '{wrong[place - 1]}', does not fit the form AABB:4" in str(
            caught.value
        )


def test_models_that_cannot_keep_a_form_say_so() -> None:
    few = Vocabulary.of([["M:2/4", "K:Cmaj", "|", "C"]])
    with pytest.raises(ParameterError, match=r"form AABB:8 needs :\|, which the model has not"):
        sample(FolkModel(network(len(few)), few), 1, settings=SamplingConfig(form="AABB:8"))
    characters = Vocabulary.of([list("CDE|:\n")])
    model = FolkModel(network(len(characters)), characters, "v1")
    with pytest.raises(ParameterError, match="characters cannot be made to have a form"):
        sample(model, 1, settings=SamplingConfig(form="AABB"))
    with pytest.raises(ParameterError, match="neither letters"):
        SamplingConfig(form="8x")
