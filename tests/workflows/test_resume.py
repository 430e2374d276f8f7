"""Commands that resume go by contents: a sound or a model that changed under its name is new."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from otoscope import models, records
from otoscope.errors import ParameterError
from otoscope.intervene import Gain, Interrogation, InterrogationSettings
from otoscope.models import Listener, save_bundle
from otoscope.models.loading import load_identified
from otoscope.models.svdnet import SVDNet
from otoscope.protocols import SoundClassifier
from otoscope.signal import librosa_mel
from otoscope.workflows import ExplainConfig, FeatureConfig, explain_to_records, write_csv
from otoscope.workflows.distance import measure_distance
from otoscope.workflows.stats import measure_statistics
from tests.support.listeners import Mean

LISTENER = """
import numpy, torch
from pathlib import Path
from otoscope.models import Listener
from otoscope.protocols import SoundClassifier
from otoscope.signal import librosa_mel
{gain}

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Linear(1, 1)
        torch.nn.init.ones_(self.scale.weight)
        torch.nn.init.zeros_(self.scale.bias)

    def forward(self, x):
        return (GAIN * self.scale(x.mean((1, 2, 3))[:, None])).sigmoid()

def make():
    front = librosa_mel(sr=16000, n_fft=512, hop_length=256, n_mels=40)
    net = Net().eval()
    {load}
    return Listener(net, front, mean=torch.full((40,), -8.0), std=torch.ones(40), patch_frames=60,
                    output_names=["up"])
"""


def constant(folder: Path, gain: float) -> None:
    """Write a model whose code holds the number."""
    code = LISTENER.format(gain=f"GAIN = {gain}", load="")
    (folder / "own.py").write_text(code)


def imported(folder: Path, gain: float) -> None:
    """Write a model whose code imports a module that holds the number."""
    name = f"gain_{folder.name}"
    (folder / f"{name}.py").write_text(f"from {name}_2 import GAIN\n")
    (folder / f"{name}_2.py").write_text(f"GAIN = {gain}\n")
    (folder / "own.py").write_text(LISTENER.format(gain=f"from {name} import GAIN", load=""))


def read(folder: Path, gain: float) -> None:
    """Write a model whose code reads the number from a file."""
    np.save(folder / "gain.npy", np.array(gain))
    line = "GAIN = float(numpy.load(Path(__file__).parent / 'gain.npy'))"
    (folder / "own.py").write_text(LISTENER.format(gain=line, load=""))


def weights(folder: Path, gain: float) -> None:
    """Write a model whose weights hold the number."""
    state = {"scale.weight": torch.full((1, 1), gain), "scale.bias": torch.zeros(1)}
    torch.save(state, folder / "weights.pt")
    load = "net.load_state_dict(torch.load(Path(__file__).parent / 'weights.pt'))"
    (folder / "own.py").write_text(LISTENER.format(gain="GAIN = 1.0", load=load))


WAYS: dict[str, Callable[[Path, float], None]] = {
    way.__name__: way for way in (constant, imported, read, weights)
}


def test_an_attribution_that_changed_is_measured_again(tmp_path: Path) -> None:
    constant(tmp_path, 1.0)
    write_sound(tmp_path / "songs" / "a.wav", 0)
    attribution = tmp_path / "attribution.npy"
    config = ExplainConfig(
        (tmp_path / "songs",),
        f"{tmp_path / 'own.py'}:make",
        segments="temporal:2",
        attribution=attribution,
    )
    done = []
    for values in ([1.0, 2.0], [1.0, 2.0], [2.0, 1.0]):
        np.save(attribution, np.array(values))
        os.utime(attribution, ns=(10**18, 10**18))
        done.append(explain_to_records(config, tmp_path / "rows.jsonl"))
    assert done == [0, 1, 0]


def write_sound(path: Path, seed: int) -> None:
    """Write noise; all sounds have the same size and the same times."""
    y = 0.1 * np.random.default_rng(seed).standard_normal(3 * 16000)
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, y.astype(np.float32), 16000)
    os.utime(path, ns=(10**18, 10**18))


def explain(folder: Path, rows: Path) -> tuple[int, list[str]]:
    """Explain a folder of sounds; return the number of rows that were there, and the outputs."""
    config = ExplainConfig((folder / "songs",), f"{folder / 'own.py'}:make", segments="temporal:2")
    n_done = explain_to_records(config, rows)
    write_csv(rows, rows.with_suffix(".csv"))
    with rows.with_suffix(".csv").open(newline="") as file:
        rows_of_files = [row for row in csv.DictReader(file) if row["segment"] == "0"]
    return n_done, [f"{row['file']} {row['output']}" for row in rows_of_files]


def test_a_sound_that_changed_under_its_name_is_explained_again(tmp_path: Path) -> None:
    constant(tmp_path, 1.0)
    for seed, name in enumerate("ab"):
        write_sound(tmp_path / "songs" / f"{name}.wav", seed)
    _, first = explain(tmp_path, tmp_path / "kept.jsonl")
    assert explain(tmp_path, tmp_path / "kept.jsonl") == (2, first)
    write_sound(tmp_path / "songs" / "b.wav", 2)
    n_done, kept = explain(tmp_path, tmp_path / "kept.jsonl")
    _, fresh = explain(tmp_path, tmp_path / "fresh.jsonl")
    assert n_done == 1
    assert kept == fresh
    assert kept[1] != first[1]


@pytest.mark.parametrize("way", WAYS)
def test_a_model_that_changed_under_its_name_explains_again(way: str, tmp_path: Path) -> None:
    WAYS[way](tmp_path, 1.0)
    write_sound(tmp_path / "songs" / "a.wav", 0)
    _, first = explain(tmp_path, tmp_path / "kept.jsonl")
    assert explain(tmp_path, tmp_path / "kept.jsonl") == (1, first)
    identity = load_identified(f"{tmp_path / 'own.py'}:make")[1]
    WAYS[way](tmp_path, -5.0)
    forget(tmp_path)
    assert load_identified(f"{tmp_path / 'own.py'}:make")[1] != identity
    n_done, kept = explain(tmp_path, tmp_path / "kept.jsonl")
    _, fresh = explain(tmp_path, tmp_path / "fresh.jsonl")
    assert n_done == 0
    assert kept == fresh
    assert kept != first


def forget(folder: Path) -> None:
    """Forget the modules of a folder, as another process has not loaded them."""
    import importlib
    import shutil
    import sys

    for name in [name for name in sys.modules if folder.name in name]:
        del sys.modules[name]
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    importlib.invalidate_caches()


def test_rows_without_contents_are_computed_again(tmp_path: Path) -> None:
    constant(tmp_path, 1.0)
    write_sound(tmp_path / "songs" / "a.wav", 0)
    explain(tmp_path, tmp_path / "kept.jsonl")
    (row,) = records.read(tmp_path / "kept.jsonl")
    del row["sources"]
    (tmp_path / "kept.jsonl").write_text(records.to_json(row) + "\n")
    assert explain(tmp_path, tmp_path / "kept.jsonl")[0] == 0


def test_a_page_is_of_its_settings_and_contents(tmp_path: Path) -> None:
    """Two runs that share an index do not take each other's pages for their own."""
    constant(tmp_path, 1.0)
    write_sound(tmp_path / "songs" / "a.wav", 0)
    html, model = tmp_path / "all.html", f"{tmp_path / 'own.py'}:make"
    for n_segments in (2, 3):
        config = ExplainConfig((tmp_path / "songs",), model, segments=f"temporal:{n_segments}")
        explain_to_records(config, tmp_path / f"{n_segments}.jsonl", html=html)
    assert len(list((tmp_path / "all-pages").iterdir())) == 2


def save_svdnet(path: Path, n_fft: int, slope: float = 0.01) -> None:
    torch.manual_seed(0)
    front = librosa_mel(sr=16000, n_fft=n_fft, hop_length=256, n_mels=80)
    model = Listener(
        SVDNet(shrink=16),
        front,
        mean=torch.zeros(80),
        std=torch.ones(80),
        patch_frames=115,
        output_names=["a"],
    )
    save_bundle(path, model, card={})


def test_a_bundle_with_the_same_weights_and_another_front_end_is_another(tmp_path: Path) -> None:
    save_svdnet(tmp_path / "net", 512)
    first = load_identified(tmp_path / "net.json")[1]
    assert load_identified(tmp_path / "net")[1] == first
    save_svdnet(tmp_path / "net", 1024)
    second = load_identified(tmp_path / "net.json")[1]
    assert second["weights"] == first["weights"]
    assert second["code"] != first["code"]


@pytest.mark.parametrize("way", ["constant", "weights"])
def test_statistics_are_not_resumed_with_another_model(way: str, tmp_path: Path) -> None:
    WAYS[way](tmp_path, 1.0)
    for seed, name in enumerate("ab"):
        write_sound(tmp_path / "songs" / f"{name}.wav", seed)
    config = FeatureConfig(f"{tmp_path / 'own.py'}:make", layer="scale", hop=0.5)
    songs, out = tmp_path / "songs", tmp_path / "s.npz"
    measure_statistics(songs, config, out)
    assert measure_statistics(songs, config, out).n_done == 2
    kept = tmp_path / "kept"
    measure_distance(songs, songs, config, keep=kept)
    assert len(list(kept.iterdir())) == 1
    WAYS[way](tmp_path, -5.0)
    forget(tmp_path)
    with pytest.raises(ParameterError, match=r"s\.npz holds other settings"):
        measure_statistics(songs, config, out)
    measure_distance(songs, songs, config, keep=kept)
    assert len(list(kept.iterdir())) == 2


def test_statistics_are_not_resumed_with_another_sound(tmp_path: Path) -> None:
    constant(tmp_path, 1.0)
    for seed, name in enumerate("ab"):
        write_sound(tmp_path / "songs" / f"{name}.wav", seed)
    config = FeatureConfig(f"{tmp_path / 'own.py'}:make", layer="scale", hop=0.5)
    measure_statistics(tmp_path / "songs", config, tmp_path / "s.npz")
    write_sound(tmp_path / "songs" / "b.wav", 2)
    with pytest.raises(ParameterError, match=r"holds b\.wav, which is not in the folder or has"):
        measure_statistics(tmp_path / "songs", config, tmp_path / "s.npz")


class Loudness(nn.Module):
    """Two classes by the level of a sound."""

    output_names = ("loud", "quiet")

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        level = self.gain * y.square().mean(-1)
        return torch.stack([level, 1 - level], -1)


@pytest.mark.parametrize(
    ("settings", "gain", "other"),
    [
        (InterrogationSettings(), 5.0, "system_identity"),
        (InterrogationSettings(classes=("quiet", "loud")), 1.0, "system_identity"),
        (InterrogationSettings(system_code="b"), 1.0, "system_code"),
    ],
)
def test_answers_of_another_system_are_not_taken(
    settings: InterrogationSettings, gain: float, other: str, tmp_path: Path
) -> None:
    sounds = [(torch.full((800,), level), 8000) for level in (0.1, 0.9, 0.1, 0.9)]
    labels = ["quiet", "loud"] * 2
    kept = tmp_path / "answers.jsonl"
    for _ in range(2):
        Interrogation(Loudness(1.0), sounds, labels).run([Gain(1)], records=kept)
    with pytest.raises(ParameterError, match=f"holds an interrogation with other {other}"):
        Interrogation(Loudness(gain), sounds, labels, settings=settings).run(
            [Gain(1)], records=kept
        )


def test_answers_of_another_threshold_are_not_taken(tmp_path: Path) -> None:
    sounds = [(torch.full((800,), level), 100) for level in (0.1, 0.9, 0.1, 0.9)]
    labels, kept = ["not up", "up"] * 2, tmp_path / "answers.jsonl"
    for threshold in (0.5, 0.5, 0.7):
        classifier = SoundClassifier(Mean(), classes="up", threshold=threshold)
        interrogation = Interrogation(classifier, sounds, labels)
        if threshold == 0.5:
            interrogation.run([Gain(1)], records=kept)
            continue
        with pytest.raises(ParameterError, match="holds an interrogation with other system_iden"):
            interrogation.run([Gain(1)], records=kept)


def test_answers_of_a_model_are_taken_whatever_its_name(tmp_path: Path) -> None:
    """Its weights decide; a model of one name and other weights was refused above."""
    sounds = [(0.1 * torch.rand(3 * 22050), 22050) for _ in range(2)]
    classifier, kept = SoundClassifier(models.load("synth-singing")), tmp_path / "answers.jsonl"
    for name in ("synth-singing", "the same, elsewhere"):
        settings = InterrogationSettings(system=name)
        Interrogation(classifier, sounds, settings=settings).run([Gain(1)], records=kept)
    assert len(kept.read_text().splitlines()) == 1 + len(sounds)
