"""Every option, beside every way to use its command, changes the result or is refused by its name.

`test_attack_options` does the same for the methods of attack, `test_explain` for explain.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.cli.options import OUTPUT
from otoscope.signal import write_audio
from tests.cli.test_help import options
from tests.support.commands import COMMANDS
from tests.support.tones import SR, stems, write_songs

MODELS = """
import torch
from otoscope.models import Listener, WaveformListener
from otoscope.signal import librosa_mel
from tests.support.tones import SR, detector

def loud(items):
    level = items.abs().flatten(1).amax(1)
    return ["loud" if y > 0.3 else "soft" for y in level]

def labels():
    return loud

def numbers():
    return lambda items: items.abs().flatten(1).amax(1).tolist()

def scores():
    net = torch.nn.Sequential(torch.nn.Linear(200, 2), torch.nn.Softmax(1))
    torch.manual_seed(0)
    net[0].reset_parameters()
    return WaveformListener(net, sample_rate=SR, seconds=0.025, output_names=["loud", "soft"])

def yes():
    return detector()

def conv():
    torch.manual_seed(0)
    front_end = librosa_mel(sr=SR, n_fft=256, hop_length=80, n_mels=8)
    maps = [torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Conv2d(2, 3, 3)]
    end = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 2)]
    net = torch.nn.Sequential(*maps, *end)
    return Listener(net, front_end, patch_frames=20, output_names=["a", "b"]).eval()
"""

# These keep the result as it is, by design: they say how fast it is made, or repeat what is random.
SPEED = {"--workers", "--device", "--keep", "--cache", "--cache-gb", "--seed"}

# Ways to use each command: words to begin with.
WAYS: dict[str, dict[str, str]] = {
    "interrogate": {
        "labels": "--model {m}:labels --data {data} --gain 6 --highpass 20",
        "scores": "--model {m}:scores --data {data} --gain 6",
        "outputs": "--model {m}:numbers --data {data} --answers tempo --unlabelled --gain 6",
        "one dose": "--model {m}:labels --data {data} --highpass 20",
        "features": "--model {m}:labels --data {features} --dilation 4",
        "export": "--export {out} --data {data} --gain 6 --highpass 20",
        "import": "--import {answers}",
        "plan": "--plan --data {data} --gain 6 --highpass 20",
    },
    "maximise": {
        "fourier": "--model {m}:conv --layer 2 --unit 1 --prior fourier",
        "magnitudes": "--model {m}:conv --layer 2 --unit 1 --prior maco",
        "raw": "--model {m}:conv --layer 2 --unit 1 --prior raw",
        "blurred": "--model {m}:conv --layer 2 --unit 1 --prior raw --blur 1 --blur-every 2",
        "one position": "--model {m}:conv --layer 5 --unit 1 --prior fourier",
        "all of a grid": "--model {m}:conv --layer 5 --unit 1 --prior fourier --rate 0.1 "
        "--penalty 0.1",
    },
    "distance": {
        "sounds": "{data}/loud {data}/soft --model {m}:conv --layer 0 --hop 0.02",
        "statistics": "{statistics}/loud.npz {statistics}/soft.npz",
        "foreign statistics": "{statistics}/mean.npz {statistics}/other.npz",
    },
    "contents": {
        "sounds": "{songs} --contents min_inp,zero,mean_inp",
        "stems": "--stems {stems} --contents min_inp,zero --skip 10 --n 1 --n-mixes 1",
        "drawn": "{songs} --contents min_inp,zero,mean_inp --design bernoulli --n-samples 99",
    },
}
ALWAYS = {
    "maximise": "--real {songs} --seeds 2 --every 0.5 --iterations 12",
    "contents": "--model {m}:yes --segments temporal:5 --changes 0",
}

# Values of each option that differ from the ways' and from the defaults.
VALUES: dict[str, dict[str, str]] = {
    "interrogate": {
        "--answers": "beats",
        "--labels": "{table}",
        "--groups": "group --labels {table}",
        "--confound": "number --labels {table}",
        "--classes": "loud,other",
        "--threshold": "0.4",
        "--control": "no-audio",
        "--dilation": "8",
        "--doses": "1",
        "--budget": "2",
        "--max-drop": "99",
        "--min-score": "1",
        "--sr": "4000",
        "--metric": "accuracy",
        "--duration": "0.01",
        "--steep": "",
        "--stretcher": "librosa",
        "--unlabelled": "",
        "--strict": "",
        "--padded": "",
        "--transfer-to": "{data}",
        "--same-names": "",
    },
    "maximise": {
        "--unit": "0",
        "--minimise": "",
        "--prior": "raw",
        "--l2": "3",
        "--variation": "2",
        "--blur": "2",
        "--blur-every": "1",
        "--jitter": "2,1",
        "--pool": "max",
        "--rate": "0.05",
        "--penalty": "0.5",
        "--iterations": "2",
        "--grid": "",
        "--seeds": "3",
        "--rank-layer": "0",
        "--every": "0.3",
        "--real": "{songs}/0.wav",
    },
    "distance": {
        "--model": "{m}:yes",
        "--layer": "2",
        "--hop": "0.03",
        "--channel-axis": "2",
        "--padded": "",
        "--metric": "kernel",
        "--infinity": "",
        "--interval": "",
        "--per-file": "",
    },
    "contents": {
        "--contents": "noise,zero,silence,mean_band",
        "--segments": "temporal:6",
        "--target": "nothing",
        "--design": "leave_one_out",
        "--n-samples": "60",
        "--n": "1",
        "--n-mixes": "2",
        "--skip": "20",
        "--layer": "network",
        "--changes": "2",
    },
}
# What a way is about, or what it shows in a place that is not read here.
ELSEWHERE = {
    "interrogate": {"--data", "--model", "--import", "--plan"},
    "maximise": {"--model", "--layer", "--generator"},  # workflows/test_maximise_priors.py
    "distance": {"--embedding"},  # cli/test_embeddings.py
    "contents": {"--model", "--stems"},
}
# Options that change nothing here for another reason than the way: said, checked elsewhere.
NO_CHANGE = {
    # All sounds are long enough, and each file can be read.
    *(("interrogate", way, name) for way in WAYS["interrogate"] for name in ("--padded",)),
    *(("interrogate", way, "--strict") for way in WAYS["interrogate"]),
    ("interrogate", "plan", "--steep"),  # as many doses
    ("interrogate", "plan", "--control"),
    ("distance", "sounds", "--padded"),
    ("distance", "statistics", "--model"),  # refused: it is another one
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models, sounds by class, features, statistics, an export with answers, songs and stems."""
    top = tmp_path_factory.mktemp("places")
    names = ("data", "songs", "statistics", "features")
    found = {name: top / name for name in names} | {"m": top / "m.py", "table": top / "table.csv"}
    found["m"].write_text(MODELS)
    generator = torch.Generator().manual_seed(0)
    rows = ["file,label,group,number"]
    for label, level in (("loud", 0.5), ("soft", 0.25)):
        (found["data"] / label).mkdir(parents=True)
        for i in range(6):
            y = level * (1 + 0.1 * i) * torch.rand(4000, generator=generator)
            write_audio(found["data"] / label / f"{i}.wav", y, sr=SR)
            rows.append(f"{label}/{i}.wav,{label},{i // 2},{i}")
    found["table"].write_text("\n".join(rows[:-1]) + "\n")
    found["features"].mkdir()
    dilations = np.array([-8.0, -4.0, 0.0, 4.0, 8.0])
    levels = np.repeat([0.5, 0.25], 6) * (1 + 0.1 * np.tile(np.arange(6), 2))
    np.savez(
        found["features"] / "features.npz",
        features=np.stack([levels * (1 + d / 20) for d in dilations])[:, :, None],
        dilation_percent=dilations,
        recording=[row.partition(",")[0] for row in rows[1:]],
        label=["loud"] * 6 + ["soft"] * 6,
    )
    found["songs"].mkdir()
    for i in range(4):
        voice, backing = stems(seed=i)
        write_audio(found["songs"] / f"{i}.wav", voice + backing, sr=SR)
    found["stems"] = write_songs(top / "stems", 4)
    found["statistics"].mkdir()
    for label in ("loud", "soft"):
        statistics = found["statistics"] / f"{label}.npz"
        words = f"stats {found['data'] / label} --model {found['m']}:conv --layer 0 --hop 0.05"
        must_run(f"{words} --rows --out {statistics}")
    covariance = np.cov(np.random.default_rng(0).standard_normal((4, 50)))
    for name, mean in (("mean", 0.0), ("other", 1.0)):
        np.savez(found["statistics"] / f"{name}.npz", mu=np.full(4, mean), sigma=covariance)
    must_run(f"interrogate --export {top / 'export'} --data {found['data']} --gain 6")
    found["answers"] = answers(top / "export")
    return found


def answers(export: Path) -> Path:
    """Answer an export: every other sound is soft."""
    ids = [row.split(",")[0] for row in (export / "manifest.csv").read_text().splitlines()[1:]]
    table = export / "answers.csv"
    rows = [f"{name},{'loud' if i % 2 else 'soft'}" for i, name in enumerate(ids)]
    table.write_text("id,label\n" + "\n".join(rows) + "\n")
    return table


def must_run(words: str) -> None:
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 0, result.output


def plain(document: Any) -> Any:
    """Leave out what repeats the settings."""
    if isinstance(document, dict):
        left_out = ("settings", "config", "versions", "folder")
        return {name: plain(value) for name, value in document.items() if name not in left_out}
    return [plain(value) for value in document] if isinstance(document, list) else document


def outcome(command: str, words: str, out: Path) -> tuple[int, Any, str]:
    """Run a command: exit code, what it tells, and what an export holds."""
    result = CliRunner().invoke(app, [*command.split(), *words.split(), "--json"])
    assert result.exit_code in (0, 1, 2), result.output
    told = result.stderr if result.exit_code == 2 else plain(json.loads(result.stdout))
    key = (out / "key.json").read_text() if (out / "key.json").exists() else ""
    return result.exit_code, told, key


@pytest.fixture(scope="module")
def before() -> dict[tuple[str, str], tuple[int, Any, str]]:
    """What each way tells without a further option, by command and way."""
    return {}


CASES = [
    (command, way, option)
    for command, ways in WAYS.items()
    for way, words in ways.items()
    for option, value in VALUES[command].items()
    if f"{option} {value}" not in words
]


def test_every_option_is_tried() -> None:
    for command in WAYS:
        every = options(COMMANDS[command,])
        tried = {*VALUES[command], *ELSEWHERE[command], *SPEED}
        listed = {
            name
            for name, option in every.items()
            if name[:2] == "--" and option.rich_help_panel != OUTPUT
        }
        changes = {n for n in listed - tried if every[n].rich_help_panel == "Interventions"}
        assert listed - changes <= tried, command
        assert {*VALUES[command]} <= listed, command


@pytest.mark.parametrize(("command", "way", "option"), CASES)
def test_an_option_changes_the_result_or_is_refused(
    command: str,
    way: str,
    option: str,
    places: dict[str, Path],
    before: dict[tuple[str, str], tuple[int, Any, str]],
    tmp_path: Path,
) -> None:
    filled = {name: str(place) for name, place in places.items()}
    words = f"{WAYS[command][way]} {ALWAYS.get(command, '')}"
    if (command, way) not in before:
        out = tmp_path / "before"
        told = outcome(command, words.format(**filled, out=out), out)
        assert told[0] < 2, told[1]
        before[command, way] = told
    out = tmp_path / "after"
    given = f"{without(words, option)} {option} {VALUES[command][option]}"
    code, told_after, key = outcome(command, given.format(**filled, out=out), out)
    if code == 2:
        assert not out.exists()
        remedy = re.search(r"leave out (--[\w-]+)", " ".join(str(told_after).split()))
        assert remedy is None or remedy[1] in given
    elif (command, way, option) not in NO_CHANGE:
        assert (code, told_after, key) != before[command, way]


def without(words: str, option: str) -> str:
    """Leave out an option with its value."""
    parts = words.split()
    while option in parts:
        at = parts.index(option)
        parts = parts[:at] + parts[at + 2 :]
    return " ".join(parts)


@pytest.mark.parametrize(
    ("command", "way", "option", "message"),
    [
        (
            "interrogate",
            "export",
            "--max-drop 5",
            "max_drop is 5.0, and an export has no score; leave out --max-drop",
        ),
        ("interrogate", "import", "--seed 0", "seed is 0, which the export has decided; leave out"),
        (
            "interrogate",
            "scores",
            "--steep",
            "steep is True, and no change is named that has it; leave out --steep, or give "
            "--highpass or --lowpass",
        ),
        ("interrogate", "one dose", "--doses 3", "doses is 3, which none of these changes uses"),
        (
            "maximise",
            "raw",
            "--blur-every 10",
            "blur_every is 10, and there is no blur; leave out --blur-every, or give --blur",
        ),
        (
            "maximise",
            "raw",
            "--blur 1 --blur-every 13",
            "blur is 1.0, and of 12 iterations, every 13th is blurred: none; leave out --blur, or "
            "choose --blur-every 12",
        ),
        ("maximise", "magnitudes", "--penalty 0.1", "all phases of prior maco are equally likely"),
        ("maximise", "fourier", "--generator x", "which is of prior gan, not fourier; leave out"),
        ("maximise", "fourier", "--l2 1", "not fourier; leave out --l2, or choose --prior raw"),
        ("maximise", "one position", "--pool max", "has one position: there is nothing to pool"),
        ("maximise", "all of a grid", "--grid", "leave out --grid or one of --rate, --penalty"),
        ("contents", "sounds", "--n-mixes 4", "n_mixes is 4, and no stems are mixed; leave out"),
        ("contents", "sounds", "--n-samples 9", "or choose --design kernelshap"),
        ("distance", "statistics", "--hop 0.05", "both sides are statistics, which are not meas"),
        ("distance", "statistics", "--keep {out}", "leave out --keep"),
    ],
)
def test_a_refusal_names_the_value_the_reason_and_the_remedy(
    command: str, way: str, option: str, message: str, places: dict[str, Path], tmp_path: Path
) -> None:
    """An option given with its default is refused too."""
    filled = {name: str(place) for name, place in places.items()} | {"out": tmp_path / "out"}
    words = f"{WAYS[command][way]} {ALWAYS.get(command, '')} {option}".format(**filled)
    code, told, _ = outcome(command, words, tmp_path)
    assert code == 2
    assert message in " ".join(str(told).split())
    assert not (tmp_path / "out").exists()


def test_a_layer_is_refused_for_a_model_of_sounds(places: dict[str, Path], tmp_path: Path) -> None:
    words = f"{places['songs']} --model {places['m']}:scores --target loud --layer 0"
    code, told, _ = outcome("contents", words, tmp_path)
    assert code == 2
    assert "layer is '0', and a model of sounds is not compared in one" in told
