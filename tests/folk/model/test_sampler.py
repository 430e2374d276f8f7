"""Sampling: the same tunes whatever the batch, as often as the softmax says, from the first bar."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from otoscope.errors import ParameterError
from otoscope.folk.model import FolkModel, SamplingConfig, sample, sample_stream, surprise
from otoscope.folk.model.draw import draw
from otoscope.folk.model.fixed_order import FixedOrderStepper
from otoscope.folk.model.stepper import Stepper
from otoscope.folk.tokens import Vocabulary
from tests.support.tunes import VOCABULARY, folk_model, ids_of, network

SHORT = SamplingConfig(max_tokens=60)


@pytest.mark.parametrize("of", [Stepper, partial(Stepper, dtype=torch.float64), FixedOrderStepper])
def test_the_cell_computes_what_the_network_does(of: Callable[..., Stepper]) -> None:
    """Also after a tune has made room for another, and after some have left."""
    net = network(9, gain=5)
    ids = torch.randint(9, (4, 12), generator=torch.Generator().manual_seed(0))
    stepper, given = of(net, 4), ids.numpy()
    for step in range(5):
        logits = stepper.step(given[:, step])
    close = partial(np.testing.assert_allclose, rtol=0, atol=1e-5)
    with torch.inference_mode():
        close(logits, net(ids[:, :5])[0][:, -1])
        stepper.restart(2)
        stepper.keep([0, 2])
        for step in range(5, 12):
            logits = stepper.step(given[[0, 2], step])
        close(logits[0], net(ids[:1])[0][0, -1])
        close(logits[1], net(ids[2:3, 5:])[0][0, -1])


@pytest.mark.parametrize("batch", [1, 7, 40, 64])
@pytest.mark.parametrize("bars_add_up", [False, True])
def test_a_tune_does_not_depend_on_the_batch(batch: int, bars_add_up: bool) -> None:
    model, settings = folk_model(gain=3), replace(SHORT, bars_add_up=bars_add_up, top_p=0.95)
    wanted = sample(model, 40, seed=5, batch=13, settings=settings)
    assert sample(model, 40, seed=5, batch=batch, settings=settings) == wanted
    assert sample(model, 9, seed=5, batch=batch, settings=settings) == wanted[:9]
    assert len({tune.tokens for tune in wanted}) == 40
    assert sample(model, 1, seed=6, settings=settings)[0].tokens != wanted[0].tokens


def test_tunes_come_as_soon_as_they_are_finished() -> None:
    tunes = list(sample_stream(folk_model(), 20, batch=5, settings=SHORT))
    assert sorted(tune.index for tune in tunes) == list(range(20))
    assert [tune.index for tune in tunes] != list(range(20))
    assert sample(folk_model(), 0) == []


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        (SamplingConfig(), [0, 1, 2, 3, 4]),
        (SamplingConfig(temperature=0.5), [0, 1, 2, 3, 4]),
        (SamplingConfig(temperature=2.0), [0, 1, 2, 3, 4]),
        (SamplingConfig(top_k=2), [3, 4]),
        (SamplingConfig(top_p=0.75), [2, 3, 4]),
        (SamplingConfig(top_k=3, top_p=0.5), [3, 4]),
        (SamplingConfig(top_k=99, top_p=1.0), [0, 1, 2, 3, 4]),
    ],
)
def test_draws_are_as_frequent_as_the_softmax_says(
    settings: SamplingConfig, kept: list[int]
) -> None:
    """Probabilities .1, .1, .2, .25, .35; of the top three, .35 + .25 of .8 pass one half."""
    logits = np.log([0.1, 0.1, 0.2, 0.25, 0.35]) + 3
    n = 20_000
    uniform = np.random.default_rng(1).random(n)
    drawn = draw(np.tile(logits, (n, 1)), np.ones((n, 5), bool), uniform, settings)
    assert not drawn.masked_nats.round(9).any()
    probability = np.exp(logits / settings.temperature)
    probability /= probability.sum()
    counts = np.bincount(drawn.tokens, minlength=5)
    assert counts.nonzero()[0].tolist() == kept
    wanted = probability[kept] / probability[kept].sum()
    assert chisquare(counts[kept], n * wanted).pvalue > 1e-3


def test_second_tokens_are_as_frequent_as_the_model_says() -> None:
    """Not the first: there a model may only choose a meter."""
    vocabulary = Vocabulary(("<s>", "</s>", "A", "B", "C"))
    model = FolkModel(network(5, gain=10), vocabulary, "v1")
    tunes = sample(model, 3000, settings=SamplingConfig(max_tokens=2))
    firsts = [tune.tokens[:1] for tune in tunes]
    counts = [sum(tune.tokens == ("A", token) for tune in tunes) for token in "ABC"]
    counts.append(sum(tune.tokens == ("A",) for tune in tunes))
    logits = model.network(torch.tensor([[0, 2]]))[0][0, 1]
    wanted = logits[[2, 3, 4, 1]].softmax(0).detach().double().numpy()
    assert chisquare(counts, firsts.count(("A",)) * wanted / wanted.sum()).pvalue > 1e-3


@given(
    uniform=st.floats(0, 1, exclude_max=True),
    allowed=st.lists(st.booleans(), min_size=6, max_size=6).filter(any),
    temperature=st.sampled_from([1e-3, 1.0, 50.0]),
    top_k=st.sampled_from([None, 1, 3]),
)
def test_what_is_forbidden_is_never_drawn(
    uniform: float, allowed: list[bool], temperature: float, top_k: int | None
) -> None:
    logits = np.array([[900.0, -900, 3, 3, 2, -1]])
    settings = SamplingConfig(temperature=temperature, top_k=top_k)
    drawn = draw(logits, np.array([allowed]), np.array([uniform]), settings)
    assert allowed[drawn.tokens[0]]
    assert drawn.masked_nats[0] >= -1e-9
    assert math.isfinite(drawn.masked_nats[0])


def test_a_tunes_probability_is_the_models_own() -> None:
    model = folk_model(gain=5)
    settings = replace(SHORT, temperature=0.7, top_k=9, meter="6/8")
    for tune in sample(model, 12, settings=settings):
        nats = surprise(model, [tune.tokens])[0]
        drawn = nats[1:] if tune.is_finished else nats[1:-1]  # the meter was given
        assert tune.log_probability == pytest.approx(-drawn.sum(), abs=1e-4)
        assert tune.n_drawn == len(drawn)


def test_meter_mode_and_prime_begin_a_tune() -> None:
    model = folk_model()
    settings = replace(SHORT, meter="6/8", mode="dor", prime=("|:", "C", "2"))
    tunes = sample(model, 5, settings=settings)
    assert {tune.tokens[:5] for tune in tunes} == {("M:6/8", "K:Cdor", "|:", "C", "2")}
    assert len({tune.tokens for tune in tunes}) == 5
    free = sample(model, 60, settings=replace(settings, meter="*"))
    assert {tune.tokens[0] for tune in free} == {"M:4/4", "M:6/8", "M:3/4"}
    assert {tune.tokens[1:5] for tune in free} == {("K:Cdor", "|:", "C", "2")}
    assert free[0].n_drawn == tunes[0].n_drawn + 1 or len(free[0].tokens) != len(tunes[0].tokens)


def test_modes_of_v3_have_no_root() -> None:
    vocabulary = Vocabulary.of([["M:4/4", "K:dor", "K:maj", "=C"]])
    model = FolkModel(network(len(vocabulary)), vocabulary, "v3")
    assert sample(model, 1, settings=replace(SHORT, mode="dor"))[0].tokens[1] == "K:dor"


def test_a_tune_that_does_not_end_is_broken_off_and_told() -> None:
    model = folk_model()
    with torch.no_grad():
        model.network.output.bias[VOCABULARY.stop] = -50
    for tune in sample(model, 3, settings=SHORT):
        assert (len(tune.tokens), tune.is_finished) == (60, False)
    with torch.no_grad():
        model.network.output.bias[VOCABULARY.stop] = 50
    for tune in sample(model, 3, settings=SHORT):
        assert (len(tune.tokens), tune.is_finished) == (2, True)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_given_back(threads: int) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        stream = sample_stream(folk_model(), 3, batch=1, settings=SHORT)
        next(stream)
        assert torch.get_num_threads() == threads
        assert len(list(stream)) == 2
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"meter": "7/8"}, r"meter '7/8' is unknown to the model; it knows 3/4, 4/4, 6/8, or \*"),
        ({"mode": "lyd"}, r"mode 'lyd' is unknown to the model; it knows dor, maj, or \*"),
        ({"prime": ("C", "D", "^^C")}, r"prime token 3, '\^\^C', is none of the .*C D >\^\^C<"),
        ({"prime": ("<s>",)}, "prime token 1, '<s>', is none"),
        ({"prime": ("C",) * 60, "max_tokens": 61}, "max_tokens is 61; .* have 62 already"),
        ({"prime": "C D"}, "prime is 'C D'; needs a sequence of tokens"),
        ({"temperature": 0.0}, r"temperature is 0\.0, must be above 0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"top_k": 0}, "top_k is 0"),
        ({"top_p": 1.5}, r"top_p is 1\.5"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"max_tokens": 10**12}, r"max_tokens is 1000000000000, must be in \[1, 1000000\]"),
        ({"precision": "float16"}, "precision is 'float16'"),
        (
            {"prime": ("C", "4", "D", "|", "E", "4", "F", "G", "4"), "bars_add_up": True},
            "prime token 9, '4', leaves a bar that cannot add up in M:3/4 or M:4/4 or M:6/8",
        ),
    ],
)
def test_what_cannot_be_sampled_is_said_before_the_first_tune(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        sample_stream(folk_model(), 1, settings=replace(SHORT, **settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [{"n": -1}, {"seed": -1}, {"batch": 0}])
def test_numbers_out_of_range_are_refused(bad: dict[str, int]) -> None:
    of = {"n": 1, "seed": 0, "batch": 1, **bad}
    with pytest.raises(ParameterError, match=f"{next(iter(bad))} is"):
        sample(folk_model(), of["n"], seed=of["seed"], batch=of["batch"])


def test_characters_have_no_meter_of_their_own() -> None:
    vocabulary = Vocabulary.of([list("M:4/4 K:C AB|")])
    model = FolkModel(network(len(vocabulary)), vocabulary, "v1")
    tune = sample(model, 1, settings=replace(SHORT, prime=tuple("M:4/4")))[0]
    assert "".join(tune.tokens).startswith("M:4/4")
    for settings, message in (
        (SamplingConfig(meter="4/4"), "takes no meter; give its header as the prime"),
        (SamplingConfig(bars_add_up=True), "bars of characters"),
    ):
        with pytest.raises(ParameterError, match=message):
            sample(model, 1, settings=settings)


def test_damaged_weights_are_told() -> None:
    model = folk_model()
    with torch.no_grad():
        model.network.output.weight[0] = torch.nan
    with pytest.raises(ParameterError, match="not finite: its weights are damaged"):
        sample(model, 1)


def test_ids_are_the_vocabularys() -> None:
    assert VOCABULARY.decode(ids_of("C", "|:")) == ["C", "|:"]
