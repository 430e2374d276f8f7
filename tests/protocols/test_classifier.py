"""A listening model as a classifier of whole sounds: outputs pooled, with gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope.attack import MagnitudeAdversary, SpectrumClassifier, WaveformPGD
from otoscope.errors import ParameterError
from otoscope.models import Listener
from otoscope.models.timelines import timeline
from otoscope.protocols import ListeningModel, SoundClassifier
from tests.support.listeners import Mean, listener


def noise(batch: int, seconds: float, sr: int = 22050) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(batch, round(seconds * sr), generator=generator)


@pytest.mark.parametrize("hop", [None, 40])
def test_excerpts_are_those_of_the_timeline(hop: int | None) -> None:
    model, sound = listener(3), noise(2, 4.3)
    along = [
        timeline(model, y, hop=model.patch_frames if hop is None else hop).outputs for y in sound
    ]
    expected = torch.stack(along)
    outputs = {
        pooling: SoundClassifier(model, pooling=pooling, hop=hop, tail=False)(sound).detach()
        for pooling in ("none", "mean", "max")
    }
    torch.testing.assert_close(outputs["none"], expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(outputs["mean"], expected.mean(1), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(outputs["max"], expected.amax(1), rtol=1e-5, atol=1e-6)


def test_a_single_output_is_a_column_with_two_labels() -> None:
    model, sound = listener(3), noise(1, 2.0)
    whole = SoundClassifier(model)(sound)
    for output in (1, "tag 1"):
        single = SoundClassifier(model, classes=output)
        torch.testing.assert_close(single(sound), whole[:, 1:2])
        assert single.label_names == ("not tag 1", "tag 1")
    assert SoundClassifier(model).label_names == ("tag 0", "tag 1", "tag 2")
    assert SoundClassifier(listener()).label_names == ("not singing", "singing")
    assert SoundClassifier(model).sample_rate == 22050


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"classes": "tag 7"},
            r"classes is 'tag 7', the model has no such output; did you mean 'tag \d'",
        ),
        ({"classes": 3}, "classes is 3, must be in 0..2"),
        ({"classes": -1}, "classes is -1, must be in 0..2"),
        ({"pooling": "median"}, "pooling is 'median', must be 'mean', 'max' or 'none'"),
        ({"hop": 0}, "hop is 0, must be >= 1 frame"),
    ],
)
def test_settings_without_a_meaning_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        SoundClassifier(listener(3), **settings)


@pytest.mark.parametrize("n_named", [1, 3])
def test_outputs_that_the_names_do_not_number_are_refused(n_named: int) -> None:
    """For example a network with one output per frame, and one name."""
    model, sound = listener(2), noise(1, 2.0)
    model.output_names = tuple(f"tag {i}" for i in range(n_named))
    message = f"the model names {n_named} outputs and returns 2"
    with pytest.raises(ParameterError, match=message):
        timeline(model, sound[0])
    with pytest.raises(ParameterError, match=message):
        SoundClassifier(model)(sound)


@pytest.mark.parametrize("has_graph", [True, False])
def test_a_tail_is_covered_by_an_excerpt_that_ends_with_the_sound(has_graph: bool) -> None:
    model = Mean()
    assert isinstance(model, ListeningModel)
    y = torch.tensor([1.0, 1, 1, 1, 0, 0, 0, 0, 0.8, 0.8], requires_grad=has_graph)
    with torch.set_grad_enabled(has_graph):
        scores = SoundClassifier(model)(y[None])
    last = (0 + 0 + 0.8 + 0.8) / 4
    up = (1 + 0 + last) / 3
    torch.testing.assert_close(scores.detach(), torch.tensor([[up, 1 - up]]))
    assert scores.requires_grad == has_graph
    dropped = SoundClassifier(model, tail=False)(y[None].detach())
    torch.testing.assert_close(dropped, torch.tensor([[0.5, 0.5]]))


def test_many_excerpts_are_pooled_batch_by_batch() -> None:
    y = torch.rand(2, 4 * 150, generator=torch.Generator().manual_seed(0))
    expected = y.mean(1)
    torch.testing.assert_close(SoundClassifier(Mean()).label_scores(y)[:, 0], expected)


def test_a_single_class_is_scored_against_its_threshold() -> None:
    model, y = Mean(), torch.full((1, 4), 0.8)
    single = SoundClassifier(model, classes=["up"])
    assert single.label_names == ("not up", "up")
    torch.testing.assert_close(single.label_scores(y), torch.tensor([[0.5, 0.8]]))
    high = SoundClassifier(model, classes="up", threshold=0.9).label_scores(y)
    assert high.argmax(1).tolist() == [0]
    logits = SoundClassifier(model, classes="up", outputs="logits").label_scores(y)
    torch.testing.assert_close(logits, torch.tensor([[0.0, 0.8]]))
    with pytest.raises(ParameterError, match=r"threshold is 0\.5 for 2 classes; name one"):
        SoundClassifier(model, threshold=0.5)


def test_labels_are_scored_in_eval_mode_and_the_mode_is_restored() -> None:
    model = listener().train()
    model.network.insert(0, nn.Dropout(1.0))
    assert not torch.equal(
        SoundClassifier(model)(noise(1, 2.0)), SoundClassifier(model.eval())(noise(1, 2.0))
    )
    model.train()
    SoundClassifier(model).label_scores(noise(1, 2.0))
    assert model.network[0].training


def test_sounds_shorter_than_an_excerpt_are_refused() -> None:
    message = r"lasts 1\.00 s, which is 67 frames; the model takes 115 at once: .* 0\.69 s longer"
    with pytest.raises(ParameterError, match=message + ".*; padded=True fills up with silence"):
        SoundClassifier(listener())(noise(1, 1.0))


@pytest.mark.parametrize("seconds", [0.001, 0.9])
def test_short_sounds_are_filled_up_with_silence(seconds: float) -> None:
    model, y = listener(), noise(1, seconds)
    silence = torch.zeros(1, model.excerpt_samples - y.shape[1])
    filled, short = SoundClassifier(model)(torch.cat([y, silence], 1)), y.requires_grad_()
    padded = SoundClassifier(model, padded=True)(short)
    assert torch.equal(padded, filled)
    assert padded.requires_grad
    long = noise(1, 2.0)
    classifier = SoundClassifier(model, padded=True)
    assert torch.equal(classifier(long), SoundClassifier(model)(long))


def test_sounds_for_models_of_single_excerpts_are_filled_up_too() -> None:
    front_end = lambda y: y[: len(y) // 4 * 4].reshape(-1, 4).sub(y.mean())  # noqa: E731
    net = nn.Sequential(nn.Flatten(), nn.Linear(40, 1))
    model = Listener(net, front_end, sample_rate=8, hop_length=4, patch_frames=10, per_excerpt=True)
    y = noise(1, 1.0)[:, :30]
    with pytest.raises(ParameterError, match="s more; padded=True fills up with silence"):
        SoundClassifier(model)(y)
    whole = torch.cat([y, torch.zeros(1, 10)], 1)
    assert torch.equal(SoundClassifier(model, padded=True)(y), SoundClassifier(model)(whole))


@pytest.mark.parametrize("n_frames", [4, 5, 7, 8, 10, 11])
def test_a_tail_is_added_only_where_frames_are_left_over(n_frames: int) -> None:
    """Excerpts of 4 frames every 3: after 4, 7 and 10 frames nothing is left."""
    y = torch.arange(n_frames, dtype=torch.float32)[None].square()
    starts = [*range(0, n_frames - 3, 3), *([n_frames - 4] if (n_frames - 4) % 3 else [])]
    expected = torch.stack([y[0, start : start + 4].mean() for start in starts])
    outputs = SoundClassifier(Mean(), classes="up", hop=3, pooling="none")(y)
    torch.testing.assert_close(outputs[0, :, 0], expected)


def logits(n_outputs: int, **declared: Any) -> Any:
    model = listener(n_outputs)
    model.network = model.network[:2]  # no sigmoid
    for name, value in declared.items():
        (model if name == "outputs" else model.network).outputs = value
    return model


@pytest.mark.parametrize("declared", [{"outputs": "logits"}, {"of the network": "logits"}])
@pytest.mark.parametrize("attack", [WaveformPGD, MagnitudeAdversary])
def test_what_a_model_declares_holds_in_every_wrapper(attack: Any, declared: Any) -> None:
    model, sound = logits(3, **declared), noise(1, 2.0)[0]
    assert SoundClassifier(model).outputs == "logits"
    assert SoundClassifier(model, classes="tag 1").threshold == 0
    assert SoundClassifier(model, outputs="probabilities").outputs == "probabilities"
    assert SoundClassifier(listener(3)).outputs == "probabilities"
    with torch.no_grad():
        label = int(SoundClassifier(model)(sound[None]).argmax())
    result = attack(model, snr_db=10.0, steps=3).run(sound[None])
    assert bool(result.success[0])
    with torch.no_grad():
        assert int(SoundClassifier(model)(result.sound).argmax()) != label


def test_an_unknown_declaration_is_refused_and_a_layer_declares_nothing() -> None:
    with pytest.raises(ParameterError, match="outputs is 'log', must be 'logits', 'prob"):
        SoundClassifier(logits(2, outputs="log"))
    with pytest.raises(ParameterError, match="outputs is 'log', must be 'logits', 'prob"):
        SoundClassifier(logits(2), outputs="log")  # type: ignore[arg-type]
    net: Any = nn.Linear(513, 2)
    net.outputs = nn.Linear(2, 2)
    assert SpectrumClassifier(net).outputs is None
    net = nn.Sequential(nn.Linear(513, 2))
    net.outputs = "logits"
    assert SpectrumClassifier(net).outputs == "logits"
