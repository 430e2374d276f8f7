"""Positions of tokens: as the readers of ABC have them, and from past tokens only."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.folk.abc import Tune
from otoscope.folk.model import FolkModel, FolkRNN, SamplingConfig, sample, surprise
from otoscope.folk.model.bundle import load_folkrnn, save_folkrnn
from otoscope.folk.model.fixed_order import FixedOrderStepper
from otoscope.folk.model.position import INPUTS, PositionReader, position_columns
from otoscope.folk.model.stepper import Stepper
from otoscope.folk.tokens import Vocabulary, get_tokeniser
from otoscope.models.checksummed import load_with_checksum, save_with_checksum
from tests.support.folk_models import tokens_of
from tests.support.tunes import TOKENS

ALL = tuple(INPUTS)
VOCABULARY = Vocabulary.of([[*TOKENS, "M:2/4", "A", "B", "f"]])
READER = PositionReader(VOCABULARY, ALL)
NAMES = [column.name for column in READER.columns]
ON_GRID = 51  # larger values are between 32nds
RHYTHMS = (
    "M:4/4 K:Cmaj C 2 D > E F /2> G /2 A | (3 C D E F 3/2 G /2 A 2 c 2 | [ C E ] 4 z 4 |",
    "M:6/8 K:Cdor C 3 |: D > E F G < A B | (2 C D E 3 - | E 3 :|",
    "M:3/4 K:Cmaj |: C 2 D 2 |1 E 2 C 4 :| |2 E 2 C 2 D 2 | (3 C > D E F 4 | C 3/2 D 3/2 E 3 |",
    "M:4/4 K:Cmaj C > [ C E ] 2 z < D - D 2 | (3 [ C E ] z C 2 |",
)


def ids_of(*tokens: str) -> list[int]:
    return VOCABULARY.encode(tokens)


def column(name: str, *tokens: str) -> list[int]:
    """Values of one column after each token."""
    values: list[int] = READER.read(ids_of(*tokens))[:, NAMES.index(name)].tolist()
    return values


def remaining(full: Fraction, played: Fraction) -> int:
    """32nds to the end of the bar, as in the column; the rest of a 32nd in its upper half."""
    whole, rest = divmod((full - played) * 32, 1)
    return int(min(max(whole, -1), 49)) + 1 + (ON_GRID if rest else 0)


def before_bar_lines(tokens: list[str]) -> list[tuple[int, int]]:
    """Number of the token before each bar line that ends a measure, and the measure's remainder.

    The oracle is the reader of ABC, with its own account of tuplets and broken rhythm.
    """
    tune: Tune = get_tokeniser("v2").tune(tokens)
    is_bar = [set(token) <= set("|:12") and "|" in token for token in tokens]
    ends = [at - 1 for at in range(3, len(tokens)) if is_bar[at] and not is_bar[at - 1]]
    full = tune.meter.length or Fraction(0)
    rests = [remaining(full, measure.duration) for measure in tune.measures if measure.duration]
    return list(zip(ends, rests, strict=False))


@pytest.mark.parametrize("text", RHYTHMS)
def test_what_remains_of_a_bar_is_what_the_reader_of_abc_says(text: str) -> None:
    tokens = text.split()
    values = column("remaining", *tokens)
    wanted = before_bar_lines(tokens)
    assert len(wanted) > 1
    assert [values[at] for at, _ in wanted] == [rest for _, rest in wanted]


def test_in_tunes_of_rules_nothing_remains_at_a_bar_line() -> None:
    tunes = tokens_of("v2", 20)
    reader = PositionReader(Vocabulary.of(tunes), ALL)
    vocabulary = Vocabulary.of(tunes)
    for tokens in tunes:
        values = reader.read(vocabulary.encode(tokens))[:, 0]
        for at, rest in before_bar_lines(tokens):
            assert values[at] == rest


@given(st.lists(st.sampled_from(range(len(VOCABULARY))), max_size=80), st.integers(0, 80))
def test_any_tokens_have_positions_and_only_those_before_count(ids: list[int], cut: int) -> None:
    rows = READER.read(ids)
    assert (rows >= 0).all()
    assert (rows < [column.size for column in READER.columns]).all()
    assert np.array_equal(READER.read(ids[:cut]), rows[:cut])


def test_columns_are_those_of_their_inputs() -> None:
    ids = ids_of(*RHYTHMS[2].split())
    rows = READER.read(ids)
    for name, names in INPUTS.items():
        own = PositionReader(VOCABULARY, [name]).read(ids)
        assert np.array_equal(own, rows[:, [NAMES.index(column) for column in names]])


def test_bars_and_parts_are_counted_after_the_pickup() -> None:
    bar = ["C", "4", "D", "4", "|"]
    tokens = ["M:4/4", "K:Cmaj", "G", "2", "|", *bar, *bar, "C", "4", "D", "2", ":|", "G", "2", "|"]
    numbers = column("number", *tokens)
    assert [numbers[at] for at in (2, 4, 9, 14)] == [0, 0, 1, 2]
    assert column("part", *tokens)[-1] == 6
    assert column("previous", *tokens)[-1] == 2
    # The pickup of 8 32nds is known after its bar line, and again where the part begins anew.
    assert column("pickup", *tokens)[4:16] == [9] * 12
    assert column("pickup", *tokens)[-3:] == [0, 0, 9]
    carried, whole = column("carried", *tokens), 32 + 1
    assert [carried[at] for at in (4, 9)] == [whole - 8, whole]
    assert carried[-4] == whole - 24, "what the next pickup has to complete"
    assert carried[-1] == whole, "it does"
    assert column("return", *tokens)[-5] == 1, "the last measure and the pickup are a bar"


def test_a_second_ending_is_at_the_place_of_the_first() -> None:
    text = "M:2/4 K:Cmaj |: C 4 | D 4 |1 E 4 | F 4 :| |2 G 4"
    tokens = text.split()
    numbers = column("number", *tokens)
    assert numbers[tokens.index("|1")] == numbers[tokens.index("|2")] == 2
    assert [value % 3 for value in column("part", *tokens)][-6:] == [1, 1, 1, 2, 2, 2]
    earlier = column("earlier 1", *tokens)
    assert VOCABULARY.tokens[earlier[-3]] == "D", "one bar before |2 is the bar before |1"


def test_earlier_tokens_are_those_that_followed_some_bars_before() -> None:
    """Against the definition: bars with one rhythm are aligned by counting tokens."""
    rng = np.random.default_rng(0)
    body = [[*rng.choice(list("CDEFGABc"), 4), "|"] for _ in range(20)]
    tokens = ["M:2/4", "K:Cmaj", *(token for bar in body for token in bar)]
    for lag in (1, 2, 4, 8):
        values = column(f"earlier {lag}", *tokens)
        for at in range(1, len(tokens)):
            source = at - 5 * lag  # a bar has five tokens; the one after it follows
            wanted = tokens[source + 1] if source >= 1 else None
            value = values[at]
            assert (VOCABULARY.tokens[value] if value < len(VOCABULARY) else None) == wanted


def test_other_lengths_are_aligned_in_time() -> None:
    text = "M:2/4 K:Cmaj C D E F | G 2 A B | c d e f |"
    tokens = text.split()
    values = column("earlier 1", *tokens)
    spelt = [VOCABULARY.tokens[x] if x < len(VOCABULARY) else "" for x in values]
    # After G the bar before goes on with D; after G 2, an eighth later, with E.
    assert spelt[7:11] == ["D", "E", "F", "|"]
    assert spelt[12:15] == ["2", "A", "B"], "after c a length is known from G, and d ends with it"


@pytest.mark.parametrize("inputs", [["bars"], ["bar", "bar"], ["bar", 1]])
def test_unknown_inputs_are_refused(inputs: list[str]) -> None:
    with pytest.raises(ParameterError, match="must be some of bar, part, earlier, each once"):
        FolkRNN(5, hidden=4, inputs=inputs)


def informed(*, inputs: tuple[str, ...] = ALL) -> FolkModel:
    """Model whose positions matter: all its weights are large."""
    net = FolkRNN(
        len(VOCABULARY), embedding=6, hidden=10, layers=2, inputs=inputs, input_size=3, seed=2
    )
    with torch.no_grad():
        net.output.weight.mul_(3)
        net.positions.mul_(3)
        if len(net.copied):
            net.gates.weight.normal_(generator=torch.Generator().manual_seed(0))
    return FolkModel(net.eval(), VOCABULARY)


def test_a_model_that_reads_characters_has_no_positions() -> None:
    net = FolkRNN(3, hidden=4, inputs=["bar"])
    with pytest.raises(ParameterError, match="network of characters has no bar inputs"):
        FolkModel(net, Vocabulary(("<s>", "</s>", "C")), "v1")


@pytest.mark.parametrize("inputs", [("bar",), ("earlier",), ("part", "bar"), ALL])
def test_one_token_at_a_time_is_the_same(inputs: tuple[str, ...]) -> None:
    model = informed(inputs=inputs)
    assert model.positions is not None
    ids = [model.vocabulary.start, *ids_of(*RHYTHMS[2].split())]
    positions = torch.tensor(model.positions.read(ids))
    with torch.inference_mode():
        wanted = model.network(torch.tensor([ids]), positions=positions[None])[0][0]
        without = model.network(torch.tensor([ids]), positions=torch.zeros_like(positions)[None])
    for stepper in (Stepper(model.network, 1), FixedOrderStepper(model.network, 1)):
        for at, token in enumerate(ids):
            logits = stepper.step(np.array([token]), positions[at : at + 1].numpy())
            np.testing.assert_allclose(logits[0], wanted[at], rtol=0, atol=2e-5)
    assert (without[0][0] - wanted).abs().max() > 0.1, "positions matter"


def test_positions_are_given_to_networks_that_read_them_and_to_no_others() -> None:
    ids = torch.tensor([[0, 3]])
    with pytest.raises(ParameterError, match="the network has bar and part inputs; positions must"):
        FolkRNN(5, hidden=4, inputs=["bar", "part"])(ids)
    with pytest.raises(ParameterError, match="the network has no inputs; positions must be"):
        FolkRNN(5, hidden=4)(ids, positions=torch.zeros(1, 2, 3, dtype=torch.int64))


@pytest.mark.parametrize("bars_add_up", [False, True])
def test_a_tune_is_as_likely_as_it_was_when_drawn(bars_add_up: bool) -> None:
    model, settings = informed(), SamplingConfig(max_tokens=80, bars_add_up=bars_add_up)
    tunes = sample(model, 12, seed=1, settings=settings)
    assert tunes == sample(model, 12, seed=1, batch=5, settings=settings)
    for tune, nats in zip(tunes, surprise(model, [tune.tokens for tune in tunes]), strict=True):
        whole = nats[: len(tune.tokens) + tune.is_finished].sum()
        assert whole == pytest.approx(-tune.log_probability, abs=1e-3)


def test_a_prime_has_positions_too() -> None:
    model = informed()
    prime = ("C", "2", "D", "E", "4", "|")
    settings = SamplingConfig(meter="4/4", mode="maj", prime=prime, max_tokens=60)
    (tune,) = sample(model, 1, settings=settings)
    (nats,) = surprise(model, [tune.tokens])
    drawn = nats[2 + len(prime) : len(tune.tokens) + tune.is_finished]
    assert drawn.sum() == pytest.approx(-tune.log_probability, abs=1e-3)


def test_a_file_keeps_the_inputs_and_refuses_unknown_ones(tmp_path: Path) -> None:
    model = informed(inputs=("bar", "earlier"))
    save_folkrnn(tmp_path / "a", model)
    loaded = load_folkrnn(tmp_path / "a")
    assert loaded.network.inputs == ("bar", "earlier")
    tunes = [RHYTHMS[0].split()]
    assert np.array_equal(surprise(loaded, tunes)[0], surprise(model, tunes)[0])
    tensors, description = load_with_checksum(tmp_path / "a", "otoscope folk-rnn 1")
    for change, message in (
        ({"inputs": ["bar", "harmony"]}, "must be some of bar, part, earlier"),
        ({"inputs": ["bar"]}, "does not describe a model of this version"),
        ({"inputs": "bar"}, "does not describe a model of this version"),
        ({"input_size": 10**9}, "input_size is 1000000000, the tensors have 3"),
        ({"mood": "merry"}, "does not describe a model of this version"),
    ):
        changed = {**description, "network": {**description["network"], **change}}
        save_with_checksum(tmp_path / "b", tensors, changed)
        with pytest.raises(ParameterError, match=message):
            load_folkrnn(tmp_path / "b")


def test_columns_have_distinct_names() -> None:
    names = [column.name for column in position_columns(ALL, 9)]
    assert len(names) == len(set(names)) == sum(map(len, INPUTS.values()))
    assert all(first.size > 1 for first, _ in pairwise(position_columns(ALL, 9)))
