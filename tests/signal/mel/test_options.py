"""Options of the front end have librosa's numbers: windows, padding, filters, decibels, PCEN."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import librosa
import numpy as np
import pytest
import torch
from scipy.signal import get_window

from otoscope.errors import ParameterError
from otoscope.explain.document import patch_from_json, patch_to_json
from otoscope.models import Listener, SVDNet
from otoscope.models.bundle import load_bundle, save_bundle
from otoscope.protocols import Patch
from otoscope.signal import PCEN, Compression, Domain, FrontEnd, librosa_mel, svd2015

WRONG: Any = {"norm": 1}
COMPRESSION: Any = Compression  # arguments of wrong types
SR = 16000
Y = 0.1 * torch.randn(6000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
SIZES: Any = {"sr": SR, "n_fft": 512, "hop_length": 160, "n_mels": 24}


def librosas(**options: Any) -> np.ndarray[Any, Any]:
    mel: np.ndarray[Any, Any] = librosa.feature.melspectrogram(y=Y.numpy(), **SIZES, **options).T
    return mel


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"win_length": 400}, {"win_length": 400}),
        ({"win_length": 399, "window": "hamming"}, {"win_length": 399, "window": "hamming"}),
        ({"window": ("kaiser", 8.6)}, {"window": ("kaiser", 8.6)}),
        ({"window": 4.0}, {"window": 4.0}),
        ({"window": torch.hann_window(512)}, {"window": np.asarray(torch.hann_window(512))}),
        (
            {"window": get_window("blackman", 300), "win_length": 300},
            {"window": "blackman", "win_length": 300},
        ),
        ({"pad_mode": "reflect"}, {"pad_mode": "reflect"}),
        ({"pad_mode": "edge"}, {"pad_mode": "edge"}),
        ({"norm": None}, {"norm": None}),
        ({"htk": True, "norm": None, "power": 1.0}, {"htk": True, "norm": None, "power": 1.0}),
    ],
)
def test_energies_are_librosas(ours: Any, theirs: Any) -> None:
    front_end = librosa_mel(**SIZES, **ours)
    expected = librosas(**theirs)
    scale = expected.max()
    np.testing.assert_allclose(front_end.mel(Y).numpy(), expected, rtol=1e-4, atol=1e-7 * scale)
    single = front_end.mel(Y.float()).numpy()
    np.testing.assert_allclose(single, expected, rtol=1e-3, atol=1e-6 * scale)
    assert replace(front_end) == front_end  # also with a window of samples


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ref": 2.0},
        {"ref": "max"},
        {"top_db": 20.0},
        {"ref": "max", "top_db": 30.0},
        {"amin": 1e-3, "ref": 1e-2, "top_db": 20.0},
    ],
)
def test_decibels_are_librosas(options: Any) -> None:
    mel = torch.from_numpy(librosas())
    settings = {"amin": 1e-10, "ref": 1.0, "top_db": None} | options
    compression = Compression("db", **settings)
    theirs = settings | ({"ref": np.max} if settings["ref"] == "max" else {})
    expected = librosa.power_to_db(mel.numpy(), **theirs)
    np.testing.assert_allclose(compression.compress(mel).numpy(), expected, atol=1e-10)
    both = compression.compress(torch.stack([mel, mel / 100]))  # each by its own loudest cell
    np.testing.assert_allclose(both[0].numpy(), expected, atol=1e-10)
    np.testing.assert_allclose(
        both[1].numpy(), librosa.power_to_db(mel.numpy() / 100, **theirs), atol=1e-10
    )
    fixed = compression.at(float(mel.max()))  # the same for this spectrogram, and invertible
    np.testing.assert_allclose(fixed.compress(mel).numpy(), expected, atol=1e-10)
    assert fixed.silence <= expected.min() + 1e-9
    loud = mel > 1.1 * fixed.amin
    torch.testing.assert_close(fixed.expand(fixed.compress(mel))[loud], mel[loud])


def test_an_added_constant_is_a_logarithm_of_the_sum() -> None:
    mel = torch.from_numpy(librosas())
    compression = Compression("ln_plus", 1e-6)
    torch.testing.assert_close(compression.compress(mel), (mel + 1e-6).log())
    torch.testing.assert_close(compression.expand(compression.compress(mel)), mel)
    assert compression.silence == pytest.approx(np.log(1e-6))
    whisper = Domain(torch.full((24,), -40.0), torch.full((24,), 40.0), Compression("db", 1e-10))
    torch.testing.assert_close(
        whisper.from_mel(mel), (mel.clamp(min=1e-10).log10() + 4) / 4, check_dtype=False
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"scale": 2.0**31}, {"gain": 0.5, "bias": 1.0, "power": 0.25, "time_constant": 0.06}],
)
def test_pcen_is_librosas_and_can_be_undone(options: Any) -> None:
    mel = torch.from_numpy(librosas())
    pcen = PCEN(**options)
    front_end = librosa_mel(**SIZES, compression=pcen)
    scale = options.get("scale", 1.0)
    theirs = {name: value for name, value in options.items() if name != "scale"}
    expected = librosa.pcen(scale * mel.T.numpy(), sr=SR, hop_length=160, **theirs).T
    compression = front_end.compression
    assert isinstance(compression, PCEN)
    assert compression.frame_rate == 100
    np.testing.assert_allclose(compression.compress(mel).numpy(), expected, rtol=1e-10)
    long = torch.cat([mel] * 5)  # several blocks
    np.testing.assert_allclose(
        compression.compress(torch.stack([long, 2 * long]))[1].numpy(),
        librosa.pcen(2 * scale * long.T.numpy(), sr=SR, hop_length=160, **theirs).T,
        rtol=1e-9,
    )
    torch.testing.assert_close(
        compression.expand(compression.compress(long)), long, rtol=1e-6, atol=0
    )
    silent = torch.zeros(3, 2, dtype=torch.float64)
    assert compression.compress(silent).eq(compression.silence).all()
    assert compression.expand(silent).eq(0).all()
    single = front_end.log_mel(Y.float())
    np.testing.assert_allclose(single.numpy(), expected, rtol=1e-3, atol=1e-6)


def test_gradients_reach_the_sound_through_each_compression() -> None:
    for compression in (
        PCEN(),
        Compression("db", 1e-10, "max", 30.0),
        Compression("ln_plus", 1e-3),
    ):
        front_end = librosa_mel(**SIZES, compression=compression)
        y = Y[:2000].clone().requires_grad_()
        values = front_end.log_mel(y)
        (slope,) = torch.autograd.grad(values.square().sum(), y)
        step = torch.randn(2000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        h = 1e-6
        with torch.no_grad():
            ahead, behind = (front_end.log_mel(y + d * step).square().sum() for d in (h, -h))
        expected = float((slope * step).sum())
        assert float((ahead - behind) / (2 * h)) == pytest.approx(expected, rel=1e-4)


def test_a_bundle_and_a_document_keep_every_option(tmp_path: Any) -> None:
    for compression in (PCEN(), Compression("db", 1e-10, "max", 80.0)):
        front_end = replace(
            svd2015(), window=("kaiser", 5.0), win_length=1000, compression=compression
        )
        model = listener(front_end, SVDNet(), 115)
        save_bundle(tmp_path / "net", model, card={})
        assert load_bundle(tmp_path / "net").front_end == model.front_end
        patch = Patch(torch.zeros(115, 80), domain=model.domain)
        again = patch_from_json(json_of(patch_to_json(patch)))
        assert again.domain is not None
        assert again.domain.compression == model.front_end.compression


def json_of(content: Any) -> Any:
    import json

    from otoscope.records import to_json

    return json.loads(to_json(content))


def listener(front_end: FrontEnd, net: torch.nn.Module, frames: int) -> Listener:
    n = front_end.n_mels
    return Listener(
        net,
        front_end,
        mean=torch.zeros(n),
        std=torch.ones(n),
        patch_frames=frames,
        output_names=["x"],
    ).eval()


def test_silence_of_an_excerpt_is_that_beside_its_loudest_sound() -> None:
    compression = Compression("db", 1e-10, "max", 40.0)
    front_end = librosa_mel(**SIZES, compression=compression)
    model = listener(front_end, torch.nn.Flatten(), 20)
    y = Y.float().clone()
    y[:3000] = 0
    patch = model.patch((y, SR))
    assert patch.domain is not None
    torch.testing.assert_close(patch.values[0], torch.full((24,), -40.0))  # of the whole sound
    torch.testing.assert_close(patch.domain.floor, patch.values[0], rtol=0, atol=1e-4)
    energies = patch.domain.mel(patch.values)
    loud = patch.values > -39
    torch.testing.assert_close(energies[loud], front_end.mel(y)[:20][loud], rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: librosa_mel(**SIZES, window="hanning!"), "window is 'hanning!', must be"),
        (
            lambda: librosa_mel(**SIZES, win_length=600),
            "win_length is 600, must be 1 to n_fft",
        ),
        (
            lambda: librosa_mel(**SIZES, window=torch.ones(9)),
            r"window has shape \(9,\), must be",
        ),
        (lambda: librosa_mel(**SIZES, pad_mode="mirror"), "pad_mode is 'mirror', must be one of"),
        (lambda: replace(librosa_mel(**SIZES), **WRONG), "norm is 1, must be 'slaney' or None"),
        (lambda: replace(svd2015(), norm=None), "'svd2015' sum to 1 by their definition"),
        (lambda: COMPRESSION("log"), "kind is 'log', must be"),
        (lambda: COMPRESSION("db", ref="min"), "ref is 'min', must be an energy > 0, or 'max'"),
        (lambda: Compression("db", ref=0.0), "ref is 0.0, must be an energy > 0"),
        (lambda: Compression("db", top_db=-1), "top_db is -1, must be >= 0"),
        (lambda: Compression("ln", top_db=80), "ref and top_db are of kind 'db', kind is 'ln'"),
        (lambda: PCEN(gain=2), r"gain is 2, must be in \[0, 1\]"),
        (lambda: PCEN(eps=0), "eps is 0, must be > 0"),
        (lambda: PCEN().compress(torch.ones(2, 2)), "frame_rate is None; give the frames per"),
    ],
)
def test_wrong_settings_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()
