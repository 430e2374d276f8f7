"""A listener takes any front end, and a network of any layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.explain import SoundLIME
from otoscope.models import Listener, SVDNet, timeline
from otoscope.models.bundle import save_bundle
from otoscope.models.given import GivenFrontEnd
from otoscope.protocols import ListeningModel, SoundClassifier
from otoscope.signal import Compression, librosa_mel, svd2015, write_audio
from otoscope.workflows import ExplainConfig, explain_files

SR, HOP = 8000, 100
Y = 0.1 * torch.randn(3 * SR, generator=torch.Generator().manual_seed(0))
OURS = librosa_mel(sr=SR, n_fft=256, hop_length=HOP, n_mels=20)
LISTENER: Any = Listener  # arguments of wrong types


class Tagger(nn.Module):
    """Two outputs of a picture [batch, mel, frame]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.out = nn.Conv1d(20, 4, 5), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        hidden = self.conv(x).relu().mean(2)
        return {"hidden": hidden, "logits": self.out(hidden)}


class House(Tagger):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x[:, 0].mT)["logits"]


def log_mel_by_librosa(y: Tensor) -> np.ndarray[Any, Any]:
    """Return [mel, frame], as librosa does."""
    mel = librosa.feature.melspectrogram(y=y.numpy(), sr=SR, n_fft=256, hop_length=HOP, n_mels=20)
    log_mel: np.ndarray[Any, Any] = np.log(np.maximum(mel, 1e-10))
    return log_mel


class LogMel(nn.Module):
    """A module with a buffer, [1, sample] -> [1, mel, frame], like torchaudio's."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(()))

    def forward(self, y: Tensor) -> Tensor:
        return OURS.log_mel(y * self.scale).mT[None]


FRONT_ENDS: dict[str, Any] = {
    "librosa": log_mel_by_librosa,
    "module": LogMel(),
    "function": lambda y: OURS.log_mel(y),
    "dictionary": lambda y: {"input_features": OURS.log_mel(y)[None].numpy()},
}


def listener(front_end: Any, **options: Any) -> Any:
    settings: Any = {
        "sample_rate": SR,
        "hop_length": HOP,
        "mel_hz": OURS.mel_hz,
        "patch_frames": 60,
        "layout": "b mel frame",
    }
    return Listener(Tagger(), front_end, **settings | options).eval()


@pytest.fixture(scope="module")
def built_in() -> Any:
    mean, std = torch.full((20,), -4.0), torch.full((20,), 2.0)
    names = ["a", "b"]
    return Listener(House(), OURS, mean=mean, std=std, patch_frames=60, output_names=names).eval()


@pytest.mark.parametrize("kind", FRONT_ENDS)
def test_any_front_end_hears_like_the_built_in_one(kind: str, built_in: Any) -> None:
    model: Any = listener(FRONT_ENDS[kind], mean=built_in.mean.numpy(), std=built_in.std)
    assert isinstance(listener(FRONT_ENDS[kind]), ListeningModel)
    assert model.output_names == ("output 0", "output 1")
    assert model.n_mels == 20
    assert model.differentiable == (kind in ("module", "function"))
    for start in (0.0, 1.23):
        ours, theirs = built_in.patch((Y, SR), start=start), model.patch((Y, SR), start=start)
        torch.testing.assert_close(theirs.values, ours.values, rtol=1e-3, atol=1e-3)
        assert theirs.y.equal(ours.y)
        assert theirs.start == ours.start
    expected = timeline(built_in, Y, hop=20)
    actual = timeline(model, Y, hop=20)
    torch.testing.assert_close(actual.outputs, expected.outputs, rtol=1e-3, atol=1e-3)
    pooled = SoundClassifier(model)(Y[None].repeat(2, 1))
    torch.testing.assert_close(
        pooled, SoundClassifier(built_in)(Y[None].repeat(2, 1)), rtol=1e-3, atol=1e-3
    )
    lime, house = (SoundLIME(m, segments="temporal:6", target=1) for m in (model, built_in))
    explanation = lime.explain(model.patch((Y, SR)))
    assert "shared forward pass" in explanation.plan
    torch.testing.assert_close(
        explanation.coefficients,
        house.explain(built_in.patch((Y, SR))).coefficients,
        rtol=1e-3,
        atol=1e-4,
    )
    tapped = model.tap("conv")(explanation.patch.values[None, None])
    torch.testing.assert_close(tapped, model.network.conv(explanation.patch.values.mT[None]))


def test_a_short_sound_is_filled_with_silence(built_in: Any) -> None:
    model = listener(log_mel_by_librosa)
    assert model.domain is None
    patch = model.patch((Y[:2000], SR), padded=True)
    assert patch.values.shape == (60, 20)
    torch.testing.assert_close(patch.values[40:], torch.full((20, 20), float(np.log(1e-10))))
    known = listener(
        log_mel_by_librosa, compression=Compression("ln", 1e-10), seconds=0.75, patch_frames=None
    )
    assert known.patch_frames == 60
    torch.testing.assert_close(known.domain.floor, torch.full((20,), float(np.log(1e-10))))
    lime = SoundLIME(known, segments="temporal:4", content="silence", target=0)
    assert lime.explain(known.patch((Y, SR))).passes == 16
    unknown = SoundLIME(model, segments="temporal:4", content="silence", target=0)
    with pytest.raises(ParameterError, match=r"take .*'mean_inp'.* or say .* compression= of a L"):
        unknown.explain(model.patch((Y, SR)))
    with pytest.raises(ParameterError, match="too short for an excerpt"):
        model.patch((Y[:2000], SR))


def fixed_size(y: Tensor) -> dict[str, np.ndarray[Any, Any]]:
    """Pad or cut to 60 frames and normalise the clip, like a feature extractor."""
    n = 59 * HOP
    y = torch.nn.functional.pad(y, (0, max(0, n - len(y))))[:n]
    values = OURS.log_mel(y)
    return {"input_values": ((values - values.mean()) / values.std())[None].numpy()}


def test_a_feature_extractor_of_a_fixed_size_serves_each_excerpt_by_itself(tmp_path: Path) -> None:
    model = listener(fixed_size, patch_frames=None)
    assert model.patch_frames == 60
    assert model.per_excerpt
    for first in (0, 40, 100):
        patch = model.patch((Y, SR), start=first * HOP / SR)
        sound = Y[first * HOP : (first + 60) * HOP]
        expected = torch.from_numpy(fixed_size(sound)["input_values"][0])
        torch.testing.assert_close(patch.values, expected)
        assert patch.y.equal(sound)
    line = timeline(model, Y, hop=20)
    assert len(line.outputs) == (len(Y) - 6000) // (20 * HOP) + 1
    torch.testing.assert_close(
        line.outputs[2], model(model.patch((Y, SR), start=0.5).values[None, None])[0]
    )
    classifier = SoundClassifier(model, pooling="none")
    assert classifier(Y[None]).shape == (1, 4, 2)
    with pytest.raises(ParameterError, match=r"lasts 0\.25 s; the model takes 0\.75 s at once"):
        classifier(Y[None, :2000])
    with pytest.raises(ParameterError, match="too short for an excerpt"):
        model.patch((Y[:2000], SR))
    assert model.patch((Y[:2000], SR), padded=True).values.shape == (60, 20)


def test_values_below_the_clips_maximum_may_be_those_of_the_excerpt() -> None:
    y = Y.clone()
    y[2 * SR :] *= 100
    front_end = librosa_mel(
        sr=SR,
        n_fft=256,
        hop_length=HOP,
        n_mels=20,
        compression=Compression("db", 1e-10, "max", 80.0),
    )
    whole: Any
    alone: Any
    whole, alone = (
        Listener(House(), front_end, patch_frames=60, per_excerpt=each) for each in (False, True)
    )
    assert float(whole.patch((y, SR)).values.max()) < -30
    patch = alone.patch((y, SR))
    assert float(patch.values.max()) == 0
    torch.testing.assert_close(patch.values, front_end.log_mel(y[:6000])[:60])
    torch.testing.assert_close(patch.domain.floor.min(), torch.tensor(-80.0), atol=1e-3, rtol=0)


def test_the_command_line_explains_a_sound(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import sys; sys.path.insert(0, '.')\n"
        "from tests.models.test_given_front_end import fixed_size, listener, log_mel_by_librosa\n"
        "def make(): return listener(log_mel_by_librosa)\n"
        "def fixed(): return listener(fixed_size, patch_frames=None)\n"
    )
    write_audio(tmp_path / "a.wav", Y, sr=SR)
    for function in ("make", "fixed"):
        config = ExplainConfig(
            (tmp_path / "a.wav",), f"{tmp_path}/net.py:{function}", segments="temporal:4", every=1.0
        )
        rows = list(explain_files(config))
        assert [row.error for row in rows] == ["", "", ""]
        assert [row.explanation.passes for row in rows if row.explanation] == [16, 16, 16]


def fails(y: Tensor) -> Tensor:
    raise IndexError("no such band")


@pytest.mark.parametrize(
    ("front_end", "options", "message"),
    [
        (
            log_mel_by_librosa,
            {"sample_rate": None},
            "sample_rate is None, hop_length 100; a",
        ),
        (
            log_mel_by_librosa,
            {"hop_length": 128},
            "not one frame more per hop_length 128: its",
        ),
        (
            log_mel_by_librosa,
            {"mel_hz": torch.arange(9.0)},
            r"mel_hz has shape \(9,\), front_end",
        ),
        (
            log_mel_by_librosa,
            {"patch_frames": None},
            "needs a length; give patch_frames= or s",
        ),
        (log_mel_by_librosa, {"seconds": 1.0}, "patch_frames and seconds are both given"),
        (
            log_mel_by_librosa,
            {"mean": torch.zeros(3)},
            r"mean has shape \(3,\), the front end",
        ),
        (log_mel_by_librosa, {"layout": "b 1 mel frame"}, "layout='b mel frame'"),
        (log_mel_by_librosa, {"layout": "b frame mel"}, "layout='b mel frame'"),
        (
            fails,
            {},
            r"given \[6000\] = \[sample\] and raised IndexError: no such",
        ),
        (lambda y: y, {}, r"front_end returned a Tensor of shape \(6000,\) for a sound \[6000\]"),
        (
            lambda y: "loud",
            {},
            r"returned a str for a sound .* \[frame, mel\] or \[mel, fra",
        ),
        (fixed_size, {}, ""),
        (
            fixed_size,
            {"patch_frames": 50},
            "patch_frames is 50, front_end returns 60 frames",
        ),
        (
            fixed_size,
            {"mel_hz": None},
            r"nothing says which axis is mel; give .* mel_hz=",
        ),
        (OURS, {"mel_hz": None}, "sample_rate is given beside a FrontEnd, which states its own"),
        (3, {}, "front_end is int, must be a FrontEnd or a function of a sound"),
    ],
)
def test_a_front_end_that_does_not_fit_is_named(front_end: Any, options: Any, message: str) -> None:
    if not message:
        assert listener(front_end, **options).patch_frames == 60
        return
    with pytest.raises(ParameterError, match=message):
        listener(front_end, **options)


def test_frames_that_are_lacking_at_the_ends_are_counted() -> None:
    front_end = GivenFrontEnd(
        lambda y: y.unfold(0, 256, HOP)[:, :20], sample_rate=SR, hop_length=HOP
    )
    assert len(front_end(torch.zeros(front_end.n_samples(60)))) == 60


def test_what_a_function_lacks_is_said(tmp_path: Path) -> None:
    model = listener(log_mel_by_librosa)
    with pytest.raises(ParameterError, match="front_end is a function, which has no inverse"):
        model.invert(torch.zeros(60, 20))
    svd = Listener(SVDNet(), svd2015(), patch_frames=115, output_names=["x"], per_excerpt=True)
    with pytest.raises(ParameterError, match="has layout, fixed, output, pooling or per_excerpt"):
        save_bundle(tmp_path / "x", svd, card={})


def test_a_front_end_that_takes_numpy_has_its_remedy() -> None:
    def librosas(y: object) -> Tensor:
        raise TypeError("Audio data must be of type numpy.ndarray")

    with pytest.raises(ParameterError, match=r"librosa or NumPy take y\.numpy\(\)"):
        Listener(nn.Flatten(), librosas, sample_rate=8000, hop_length=80)


@pytest.mark.parametrize(("seconds", "told"), [(1.0, "excerpts of 1.00571 s: 44"), (None, "0.2")])
def test_repr_says_how_long_excerpts_are(seconds: float | None, told: str) -> None:
    """44 frames of 0.02286 s are nearest to a second."""
    front_end = librosa_mel(sr=7000, n_fft=256, hop_length=160, n_mels=8)
    frames = None if seconds else 10
    model = Listener(nn.Flatten(), front_end, seconds=seconds, patch_frames=frames)
    assert told in repr(model)
    assert "frames of 160 samples at 7000 Hz" in repr(model)


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (0.005, "seconds is 0.005, which is no whole frame of 0.02 s"),
        (float("nan"), "seconds is nan, must be finite and above 0"),
        (-1.0, "seconds is -1, must be finite and above 0"),
        ("1 s", "seconds is '1 s', must be a number"),
    ],
)
def test_a_length_of_no_frame_is_refused(seconds: Any, message: str) -> None:
    front_end = librosa_mel(sr=8000, n_fft=256, hop_length=160, n_mels=8)
    with pytest.raises(ParameterError, match=message):
        Listener(nn.Flatten(), front_end, seconds=seconds)
    with pytest.raises(ParameterError, match=message):
        Listener(
            nn.Flatten(), log_mel_by_librosa, sample_rate=8000, hop_length=160, seconds=seconds
        )
    with pytest.raises(ParameterError, match="sample_rate is None"):
        Listener(nn.Flatten(), log_mel_by_librosa, seconds=seconds)
