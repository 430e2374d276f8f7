"""Folk-rnn's network, likelihood and bundle: against an LSTM spelled out in NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.folk.model import (
    FolkModel,
    FolkRNN,
    load_folkrnn,
    nats_per_token,
    save_folkrnn,
    surprise,
)
from otoscope.folk.tokens import Vocabulary
from tests.oracles.lstm import lstm_by_definition
from tests.support.tunes import TOKENS, VOCABULARY, folk_model, network

Array = NDArray[np.float64]


@pytest.mark.parametrize("embedding", [None, 6])
@pytest.mark.parametrize("layers", [1, 3])
def test_logits_equal_those_of_definition(embedding: int | None, layers: int) -> None:
    net = FolkRNN(7, embedding=embedding, hidden=10, layers=layers).eval()
    assert net.hidden_init.abs().min() > 0
    ids = [0, 3, 6, 6, 1]
    logits, state = net(torch.tensor([ids]))
    np.testing.assert_allclose(
        logits[0].detach().numpy(), lstm_by_definition(net, ids), rtol=0, atol=1e-5
    )
    on, _ = net(torch.tensor([ids]), state)
    whole, _ = net(torch.tensor([ids + ids]))
    torch.testing.assert_close(on[0], whole[0, len(ids) :], rtol=0, atol=1e-5)


def test_sizes_are_the_papers() -> None:
    """5,599,881 with one bias a gate, 5,606,025 with torch's two."""
    net = FolkRNN(137)
    assert sum(weight.numel() for weight in net.parameters() if weight.requires_grad) == 5_599_881
    assert sum(weight.numel() for weight in net.parameters()) == 5_606_025
    for layer in range(3):
        assert getattr(net.lstm, f"bias_ih_l{layer}")[512:1024].eq(5).all()
        assert not getattr(net.lstm, f"bias_hh_l{layer}").any()
    torch.testing.assert_close(net.hidden_init.norm(dim=1), torch.ones(3))


def test_begins_with_its_seed_and_draws_nothing_else() -> None:
    before = torch.get_rng_state()
    first, same, other = FolkRNN(5, hidden=8), FolkRNN(5, hidden=8), FolkRNN(5, hidden=8, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.output.weight, same.output.weight)
    assert torch.equal(first.hidden_init, same.hidden_init)
    assert not torch.equal(first.output.weight, other.output.weight)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_tokens": 0}, "n_tokens is 0"),
        ({"n_tokens": 5, "layers": 0}, "layers is 0"),
        ({"n_tokens": 5, "embedding": -1}, "embedding is -1"),
        ({"n_tokens": 5, "dropout": 1.0}, "dropout is 1.0"),
    ],
)
def test_impossible_sizes_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        FolkRNN(**settings)


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_padded_tunes_are_as_likely_as_alone(batch: int) -> None:
    model = folk_model(gain=20)
    tunes = [TOKENS[:1], TOKENS, [], TOKENS[5:9], TOKENS[::-1] * 3]
    alone = [lstm_by_definition(model.network, model.encode(tune)[:-1]) for tune in tunes]
    for tune, logits, nats in zip(tunes, alone, surprise(model, tunes, batch=batch), strict=True):
        wanted = np.log(np.exp(logits).sum(axis=1)) - np.take_along_axis(
            logits, np.array(model.encode(tune)[1:])[:, None], axis=1
        ).squeeze(1)
        np.testing.assert_allclose(nats, wanted, rtol=0, atol=1e-5)


def test_nats_are_over_tokens_not_over_tunes() -> None:
    model = folk_model(gain=20)
    tunes = [TOKENS[:1], TOKENS]
    short, long = surprise(model, tunes)
    result = nats_per_token(model, tunes)
    assert result == pytest.approx((short.sum() + long.sum()) / (len(short) + len(long)))
    assert result != pytest.approx((short.mean() + long.mean()) / 2)


def test_what_cannot_be_scored_is_said() -> None:
    model = folk_model()
    with pytest.raises(ParameterError, match=r"token 2 of tune 2, '\^\^C', is none of the model's"):
        surprise(model, [["C"], ["C", "^^C"]])
    with pytest.raises(ParameterError, match="no tune to score"):
        nats_per_token(model, [])
    with pytest.raises(ParameterError, match="batch is 0"):
        surprise(model, [["C"]], batch=0)


def test_a_bundle_is_the_same_model(tmp_path: Path) -> None:
    model = FolkModel(network(len(VOCABULARY)), VOCABULARY, "v3", {"licence": "CC0", "nats": 1.5})
    save_folkrnn(tmp_path / "reels", model)
    for name in ("reels", "reels.json", "reels.safetensors"):
        loaded = load_folkrnn(tmp_path / name)
        assert loaded.vocabulary == model.vocabulary
        assert (loaded.tokeniser, loaded.card) == (model.tokeniser, model.card)
        assert not loaded.network.training
        for name, value in model.network.state_dict().items():
            assert torch.equal(loaded.network.state_dict()[name], value)


def test_a_model_of_another_kind_or_altered_is_refused(tmp_path: Path) -> None:
    save_folkrnn(tmp_path / "reels", folk_model())
    text = (tmp_path / "reels.json").read_text()
    (tmp_path / "reels.json").write_text(text.replace('"M:6/8"', '"M:9/8"'))
    with pytest.raises(ParameterError, match=r"was altered.*SHA-256"):
        load_folkrnn(tmp_path / "reels")
    (tmp_path / "reels.json").write_text(text.replace("folk-rnn 1", "bundle 1"))
    with pytest.raises(ParameterError, match="not a bundle's description"):
        load_folkrnn(tmp_path / "reels")


def test_another_vocabulary_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"network is of 5 tokens and the vocabulary of 3"):
        FolkModel(FolkRNN(5, hidden=8), Vocabulary(("<s>", "</s>", "C")))
    with pytest.raises(ParameterError, match="tokeniser is 'v4'"):
        FolkModel(FolkRNN(3, hidden=8), Vocabulary(("<s>", "</s>", "C")), "v4")
