"""A sound in pieces gives the excerpts that the model hears, whatever its front end depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.metrics import FeatureSet
from otoscope.models import Listener, listener, timeline, timelines
from otoscope.models.pieces import excerpt_batches
from otoscope.progress import silent
from otoscope.signal import Compression, librosa_mel, write_audio
from otoscope.signal.audio import files
from otoscope.workflows import AttackFileConfig, attack_file, features
from otoscope.workflows.features import FeatureConfig, SoundFeatures
from otoscope.workflows.maximise.specimens import RealExcerpts
from otoscope.workflows.recording import Recording
from otoscope.workflows.singing.evaluate import EvaluateConfig, evaluate_detector

SR, HOP, LENGTH = 8000, 100, 40
SECONDS = 24
Y = 0.05 * torch.randn(SECONDS * SR, generator=torch.Generator().manual_seed(0))
Y[6 * SR :] *= 4  # so that the loudest cell of the sound is not in every piece of it
RELATIVE = Compression("db", 1e-10, "max", 80.0)
KINDS: dict[str, dict[str, Any]] = {
    "of frames": {},
    "relative to the sound": {"compression": RELATIVE},
    "relative to the excerpt": {"compression": RELATIVE, "per_excerpt": True},
}


def made(kind: str) -> Listener:
    torch.manual_seed(0)
    settings = dict(KINDS[kind])
    compression = settings.pop("compression", Compression("ln", 1e-7))
    front_end = librosa_mel(sr=SR, n_fft=256, hop_length=HOP, n_mels=8, compression=compression)
    linear = nn.Linear(LENGTH * 8, 1)
    nn.init.normal_(linear.weight, std=0.002)
    network = nn.Sequential(nn.Flatten(), linear, nn.Sigmoid())
    return Listener(
        network, front_end, patch_frames=LENGTH, output_names=["loud"], name="m", **settings
    ).eval()


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest) -> Listener:
    return made(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_audio(tmp_path / "long.wav", Y, sr=SR, subtype="FLOAT")
    return tmp_path / "long.wav"


def shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a sound of seconds a long one, with little context."""
    for module in (files, timelines, listener):
        monkeypatch.setattr(module, "LONG", 3.0)
    for module in (timelines, listener):
        monkeypatch.setattr(module, "CONTEXT", 1.0)
    monkeypatch.setattr(timelines, "_BLOCK", 2.0)


def heard(model: Listener, hop: int) -> Tensor:
    """Values of each excerpt as the model gets it alone."""
    n = len(model.prepare(Y)) if not model.per_excerpt else len(Y) // HOP
    starts = [i * HOP / SR for i in range(0, n - LENGTH + 1, hop)]
    return torch.stack([patch.values for patch in model.patches((Y, SR), starts)])


@pytest.mark.parametrize("hop", [13, 40, 65])
def test_excerpts_are_those_that_the_model_hears(model: Listener, hop: int) -> None:
    for size in (997, 3 * SR, len(Y)):
        blocks = [Y[i : i + size] for i in range(0, len(Y), size)]
        cut = torch.cat(list(excerpt_batches(model, blocks, hop=hop)))[:, 0]
        expected = heard(model, hop)
        assert abs(len(cut) - len(expected)) <= 1  # the last may end in the window
        torch.testing.assert_close(cut[: len(expected)], expected[: len(cut)])


def test_features_of_a_layer_are_of_what_the_model_hears(
    model: Listener, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = {"weights": "", "code": ""}
    monkeypatch.setattr(features, "load_identified_listener", lambda *_, **__: (model, identity))
    extractor = SoundFeatures(FeatureConfig("m", "1", hop=0.25), keep_rows=True)
    rows: FeatureSet = extractor.extract(path)[0]
    linear = model.network[1]  # type: ignore[index]
    expected = linear(heard(model, 20).flatten(1)).double()
    n = min(len(expected), rows.n_rows)
    torch.testing.assert_close(rows.rows[:n], expected[:n], rtol=1e-4, atol=1e-4)


def test_real_excerpts_are_those_that_the_model_hears(model: Listener, path: Path) -> None:
    excerpts = torch.cat(list(RealExcerpts(model, path, every=0.25, progress=silent)))
    expected = heard(model, 20)
    n = min(len(expected), len(excerpts))
    assert n > SECONDS * 4 - 4
    torch.testing.assert_close(excerpts[:n], expected[:n], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("hop", [3, 8])
@pytest.mark.parametrize("padded", [False, True])
def test_a_timeline_in_blocks_is_that_of_the_whole(
    model: Listener, hop: int, padded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = timeline(model, Y, hop=hop, padded=padded)
    shorten(monkeypatch)
    blocks = timeline(model, Y, hop=hop, padded=padded)
    torch.testing.assert_close(blocks.starts, whole.starts)
    torch.testing.assert_close(blocks.outputs, whole.outputs)


@pytest.mark.parametrize("start", [0.0, 3.3, 11.0, 23.4, 23.9])
@pytest.mark.parametrize("padded", [False, True])
def test_an_excerpt_of_a_long_file_is_that_of_the_whole(
    model: Listener, path: Path, start: float, padded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut() -> Any:
        try:
            return model.patch(path, start=start, padded=padded)
        except ParameterError as err:
            return str(err)

    whole = cut()
    shorten(monkeypatch)
    long = cut()
    if isinstance(whole, str):
        assert long == whole
        return
    assert long.start == whole.start
    torch.testing.assert_close(long.values, whole.values)
    torch.testing.assert_close(long.y, whole.y)
    if start == 3.3:
        in_a_command = Recording(path, model, padded=padded).patch(start)
        torch.testing.assert_close(in_a_command.values, whole.values)


@pytest.mark.parametrize("work", ["attack", "maximise", "evaluate", "patch"])
def test_no_work_transforms_a_long_file_at_once(
    work: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, lengths = made("of frames"), []
    prepare = model.prepare

    def counted(y: Tensor) -> Tensor:
        lengths.append(y.shape[-1])
        return prepare(y)

    monkeypatch.setattr(model, "prepare", counted)
    identity: dict[str, str] = {}
    loaders = {
        "otoscope.workflows.attack.load_identified_listener",
        "otoscope.workflows.singing.evaluate.load_identified_listener",
    }
    for place in loaders:
        monkeypatch.setattr(place, lambda *_, **__: (model, identity))
    shorten(monkeypatch)
    monkeypatch.setattr(files, "_read_all", None)  # which reads a file at once
    if work == "attack":
        config = AttackFileConfig(path, "m", tmp_path / "a.wav", start=3.0, duration=0.8, steps=1)
        with pytest.raises(TypeError):  # the adversary, a short file, is read so
            attack_file(config)
    elif work == "maximise":
        list(RealExcerpts(model, path, every=0.25, progress=silent))
    elif work == "evaluate":
        (tmp_path / "songs").mkdir()
        path.rename(tmp_path / "songs" / "long.wav")
        evaluate_detector(EvaluateConfig(None, model="m", instrumental=tmp_path / "songs"))
    else:
        model.patch(path, start=10.0)
    assert lengths
    assert max(lengths) < 12 * SR
