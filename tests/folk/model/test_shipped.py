"""The network of tunes that comes with the package: its size, its card, and what it writes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import otoscope.folk.model
from otoscope.folk.abc import NotationError, Tune
from otoscope.folk.data import load_prepared
from otoscope.folk.metrics import check_tune, summarise
from otoscope.folk.model import SamplingConfig, load_folkrnn, nats_per_token, sample
from otoscope.folk.model.kneser_ney import KneserNey
from otoscope.folk.tokens import get_tokeniser
from otoscope.folk.workflows.prepare import PrepareFolkConfig, prepare_folk, save_folk

BUNDLE = Path(otoscope.folk.model.__file__).parent / "bundles" / "folkrnn-small.safetensors"


def tune_of(tokens: tuple[str, ...]) -> Tune | NotationError:
    try:
        return get_tokeniser("v2").tune(tokens)
    except NotationError as err:
        return err


def test_is_small_and_says_what_it_is() -> None:
    assert BUNDLE.stat().st_size < 6e6
    model = load_folkrnn()
    assert model.tokeniser == "v2"
    assert model.network.inputs == ("bar", "part", "earlier")
    assert {"what", "data", "licence", "limits", "training", "nats_per_token"} <= set(model.card)
    assert all(nats["model"] < nats["trigram"] for nats in model.card["nats_per_token"].values())


def test_same_seed_same_tunes() -> None:
    model, settings = load_folkrnn(), SamplingConfig(meter="6/8", mode="min", max_tokens=60)
    tunes = sample(model, 3, seed=1, settings=settings)
    assert tunes == sample(model, 3, seed=1, batch=2, settings=settings)
    assert {tune.tokens[:2] for tune in tunes} == {("M:6/8", "K:Cmin")}


@pytest.mark.slow
def test_bars_add_up_with_the_mask_and_not_always_without() -> None:
    """Without it, as the goal of paper D's page says; tunes that were broken off do not count."""
    model = load_folkrnn()
    shares = []
    for masked, n in ((False, 200), (True, 64)):
        drawn = sample(model, n, settings=SamplingConfig(bars_add_up=masked))
        checks = [check_tune(tune_of(tune.tokens)) for tune in drawn if tune.is_finished]
        shares.append(sum(check.is_valid for check in checks) / n)
        if not masked:
            assert summarise(checks).rates["parts"].interval.value > 0.25, "AABB was learnt"
    assert 0.7 <= shares[0] < 0.98 <= shares[1]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("music21") is None, reason="music21's tunes are not installed")
def test_beats_a_trigram_on_the_tunes_that_it_has_not_seen(tmp_path: Path) -> None:
    sources = ("aird", "oneill", "ryan", "misc")
    save_folk(prepare_folk(PrepareFolkConfig(sources, seed=1, strict=True)), tmp_path / "tunes")
    tunes, model = load_prepared(tmp_path / "tunes"), load_folkrnn()
    assert tunes.vocabulary.tokens == model.vocabulary.tokens
    train, test = ([model.encode(tune) for tune in part] for part in (tunes.train, tunes.test))
    trigram = KneserNey(train, n_tokens=len(model.vocabulary)).nats_per_token(test)
    nats = nats_per_token(model, tunes.test)
    assert nats < 1.2 < trigram
    means = model.card["nats_per_token"]["test"]
    np.testing.assert_allclose([nats, trigram], [means["model"], means["trigram"]], atol=2e-3)
