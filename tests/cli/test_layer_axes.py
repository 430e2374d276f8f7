"""otoscope distance, stats and maximise in layers of [batch, frame, unit], and of [batch, unit].

The oracle calls the layers of a CRNN one by one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import otoscope as oto
from otoscope.cli.app import app
from otoscope.metrics import frechet_of
from otoscope.signal import read_audio, write_audio
from tests.newcomers.sounds import SR, corpus

MAKE = """
import torch
from torch import nn
from otoscope.models import Listener
from otoscope.signal import librosa_mel

class CRNN(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.gru = nn.Conv2d(1, 3, 3, padding=1), nn.GRU(3 * 8, 5, batch_first=True)
        self.act, self.dense, self.out = nn.Tanh(), nn.Linear(5, 4), nn.Linear(4, 1)
        self.flat = nn.Flatten(2)

    def forward(self, x):
        x = self.flat(nn.functional.avg_pool2d(self.conv(x).relu(), (2, 5)).permute(0, 2, 1, 3))
        return self.out(self.dense(self.act(self.gru(x)[0])).mean(1))

def make():
    front_end = librosa_mel(sr=8000, n_fft=256, hop_length=80, n_mels=40)
    return Listener(CRNN(), front_end, seconds=0.25, output_names=["loud"]).eval()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crnn")
    (folder / "crnn.py").write_text(MAKE)
    for side, sounds in (("real", corpus(30)[:20]), ("made", corpus(30)[20:])):
        (folder / side).mkdir()
        for i, (y, _) in enumerate(sounds):
            write_audio(folder / side / f"{i:02}.wav", torch.from_numpy(y), sr=SR)
    return folder


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


def activations(folder: Path, layer: str, sounds: str) -> torch.Tensor:
    """The layer's output [excerpt, frame, unit], by hand."""
    model: Any = oto.models.load(f"{folder / 'crnn.py'}:make")
    net, excerpts = model.network, []
    for path in sorted((folder / sounds).glob("*.wav")):
        values = model.prepare(read_audio(path, sr=SR)[0])
        n = model.patch_frames
        excerpts += [values[i : i + n] for i in range(0, len(values) - n + 1, n)]
    with torch.no_grad():
        maps = net.conv(torch.stack(excerpts)[:, None]).relu()
        pooled = torch.nn.functional.avg_pool2d(maps, (2, 5)).permute(0, 2, 1, 3).flatten(2)
        states = net.gru(pooled)[0]
        outputs: dict[str, torch.Tensor] = {
            "gru": states,
            "act": states.tanh(),
            "dense": net.dense(states.tanh()),
            "conv": net.conv(torch.stack(excerpts)[:, None]).flatten(2).mT,
        }
    return outputs[layer]


def sides_of(folder: Path) -> tuple[object, ...]:
    model = f"{folder / 'crnn.py'}:make"
    return (folder / "real", folder / "made", "--model", model, "--workers", 1)


@pytest.mark.filterwarnings("ignore::otoscope.metrics.FewRows")
@pytest.mark.parametrize(("layer", "axis"), [("gru", 2), ("act", 2), ("dense", 2), ("conv", 1)])
def test_distance_compares_units_and_not_frames(folder: Path, layer: str, axis: int) -> None:
    sides = sides_of(folder)
    result = json.loads(run("distance", *sides, "--layer", layer, "--json"))
    real, made = (activations(folder, layer, name).mean(1) for name in ("real", "made"))
    assert result["distance"] == pytest.approx(float(frechet_of(real, made)), rel=1e-3)
    by_axis = run("distance", *sides, "--layer", layer, "--json", "--channel-axis", axis)
    assert json.loads(by_axis)["distance"] == result["distance"]


def test_distance_refuses_to_guess(folder: Path) -> None:
    sides = sides_of(folder)
    output = " ".join(run("distance", *sides, "--layer", "flat", code=2).split())
    assert "layer 'flat' gives shape (2, 12, 24) for 2 inputs" in output
    assert "name it with --channel-axis 2 or another axis" in output
    run("distance", *sides, "--layer", "flat", "--channel-axis", 1)
    wrong = run("distance", *sides, "--layer", "flat", "--channel-axis", 0, code=2)
    assert "channel_axis is 0; layer 'flat' gives (2, 12, 24), of which axis 0 is" in wrong


@pytest.mark.parametrize("unit", [0, 4])
def test_maximise_takes_a_unit_and_not_a_frame(folder: Path, unit: int) -> None:
    quick = ("--seeds", 2, "--iterations", 3, "--real", folder / "real", "--json")
    model = ("--model", f"{folder / 'crnn.py'}:make", "--layer", "gru", "--every", 0.25)
    result = json.loads(run("maximise", *model, "--unit", unit, *quick, "--rank-layer", "dense"))
    means = activations(folder, "gru", "real").mean(1)[:, unit]
    for specimen, mean in zip(result["real"], means.sort(descending=True).values, strict=False):
        assert specimen["activation"] == pytest.approx(float(mean), rel=1e-3)
    everywhere = json.loads(run("maximise", *model, "--unit", f"...,{unit}", *quick))
    assert everywhere["real"] == result["real"]
    dense = activations(folder, "dense", "real").mean(1)
    assert result["ranking"][0]["distance"] < 100 * float(dense.square().sum(1).max())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layer", "gru", "--unit", 5], "gives [12, 5] for each input: 5 must be in 0..4"),
        (["--layer", "flat", "--unit", 3], "write --unit ...,3 for the last axis, or --unit 3,..."),
        (["--layer", "gru", "--rank-layer", "flat"], "whose type does with --rank-layer"),
    ],
)
def test_maximise_refuses_to_guess(folder: Path, options: list[object], message: str) -> None:
    quick = ("--seeds", 2, "--iterations", 2, "--real", folder / "real", "--every", 0.25)
    output = run("maximise", "--model", f"{folder / 'crnn.py'}:make", *quick, *options, code=2)
    assert message in " ".join(output.split())
