"""otoscope attack: what is told is true of the file that is written, and what bad input gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from otoscope import models
from otoscope.cli.app import app
from otoscope.data import synthesise
from otoscope.signal import read_audio
from otoscope.signal.audio import files
from tests.support.commands import given_once
from tests.support.scripts import run_script

MODEL = ["--model", "synth-singing"]
SR = 22050


def attack(code: int, *arguments: object) -> str:
    """Run the command, which must end with an exit code."""
    result = CliRunner().invoke(app, ["attack", *given_once(arguments)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def says(path: Path) -> float:
    """Ask the model about the first excerpt of a file, without the code under test."""
    model = models.load("synth-singing")
    with torch.no_grad():
        return float(model(model.patch(path).values[None, None]))


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 1.68 s that are sung: one excerpt of the model's 1.64 s."""
    made = synthesise(0, seconds=4)
    first = round(made.sung[0][0] * SR)
    path = tmp_path_factory.mktemp("song") / "song.wav"
    soundfile.write(path, made.mix[first : first + round(1.68 * SR)], SR, subtype="FLOAT")
    assert says(path) > 0.8
    return path


def test_model_is_fooled_by_the_file_and_the_exit_code_says_so(song: Path, tmp_path: Path) -> None:
    out = tmp_path / "adv.wav"
    output = attack(1, song, *MODEL, "--out", out, "--snr-db", 20)
    assert output.startswith("Fooled: synth-singing heard “singing” and hears “not singing”")
    assert "The bound held on the file: 20.00 dB required" in output
    assert soundfile.info(out).subtype == "PCM_16"
    assert says(out) < 0.5
    assert [path.name for path in tmp_path.iterdir()] == ["adv.wav"]


@pytest.mark.parametrize("domain", ["waveform", "magnitude"])
def test_the_json_document_holds_what_can_be_measured_of_the_file(
    song: Path, tmp_path: Path, domain: str
) -> None:
    out = tmp_path / "adv.flac"
    options = ("--target", "not singing", "--snr-db", 15, "--domain", domain, "--json")
    document = json.loads(attack(1, song, *MODEL, "--out", out, *options))
    assert document["format"] == "otoscope.AttackFile/1"
    (piece,) = document["pieces"]
    evaluation = piece["evaluation"]
    x, y = (soundfile.read(path)[0] for path in (song, out))
    ratio = 20 * np.log10(np.linalg.norm(x) / np.linalg.norm(y - x))
    assert document["snr_db"] == pytest.approx(evaluation["snr_db"], abs=1e-6)
    assert evaluation["snr_db"] == pytest.approx(ratio, abs=1e-4)
    assert ratio >= evaluation["snr_guaranteed_db"] - 1e-6
    assert evaluation["confidence_before"] == pytest.approx(1 - says(song), abs=1e-3)
    assert evaluation["confidence_after"] == pytest.approx(1 - says(out), abs=1e-3)
    assert (document["is_fooled"], evaluation["success"], evaluation["label_after"]) == (
        True,
        True,
        "not singing",
    )
    assert document["settings"]["seed"] == 0
    assert evaluation["path"] == str(out)


def test_model_that_holds_gives_0(song: Path, tmp_path: Path) -> None:
    out = tmp_path / "adv.wav"
    output = attack(0, song, *MODEL, "--out", out, "--snr-db", 90, "--steps", 1)
    assert output.startswith("Not fooled: synth-singing hears “singing” in the file")
    assert out.is_file()


@pytest.mark.parametrize(
    "options",
    [
        ("--method", "pgd", "--masking", 0.5),
        ("--method", "apgd", "--norm", "linf", "--segmental-snr-db", 6),
        ("--method", "apgd", "--transforms", "gain:3,noise:30", "--draws", 2),
        ("--method", "fab"),
        ("--method", "cw"),
        ("--method", "clipping"),
        ("--method", "strong"),
        ("--method", "least-norm"),
        ("--nearest", "--domain", "magnitude"),
    ],
)
def test_every_method_tells_the_truth_of_the_file(
    options: tuple[object, ...], song: Path, tmp_path: Path
) -> None:
    out = tmp_path / "adv.wav"
    command = ["attack", song, *MODEL, "--out", out, "--steps", 6, "--json"]
    if not {"least-norm", "--nearest"} & set(options):
        command += ["--snr-db", 12]
    result = CliRunner().invoke(app, [*map(str, (*command, *options))])
    document = json.loads(result.stdout)
    (piece,) = document["pieces"]
    evaluation = piece["evaluation"]
    x, y = (soundfile.read(path)[0] for path in (song, out))
    if (x == y).all():
        assert not document["is_fooled"]
        return
    ratio = 20 * np.log10(np.linalg.norm(x) / np.linalg.norm(y - x))
    assert evaluation["snr_db"] == pytest.approx(ratio, abs=1e-4)
    assert ratio >= evaluation["snr_guaranteed_db"] - 1e-6
    assert document["is_fooled"] == (says(out) < 0.5) == bool(result.exit_code)
    if "--segmental-snr-db" in options:
        assert evaluation["segmental_snr_db"] >= 6 - 0.1  # rounding
    if "least-norm" in options:
        assert document["is_fooled"]
        assert says(out) > 0.4  # it is near the boundary


def test_a_model_without_gradient_is_attacked_by_queries(song: Path, tmp_path: Path) -> None:
    code = tmp_path / "own.py"
    code.write_text(
        "from otoscope.models import Listener, load\n"
        "import torch\n"
        "def make():\n"
        "    model = load('synth-singing')\n"
        "    def net(batch):\n"
        "        with torch.no_grad():\n"
        "            return torch.from_numpy(model(batch).numpy())\n"
        "    own = Listener(net, model.prepare, patch_frames=model.patch_frames,\n"
        "        sample_rate=22050, hop_length=model.hop_length, output_names=['singing'])\n"
        "    own.differentiable = False\n"
        "    return own\n"
    )
    words = (song, "--model", f"{code}:make", "--out", tmp_path / "adv.wav", "--snr-db", 5)
    refusal = attack(2, *words)
    assert "gives no gradient (differentiable is False)" in refusal
    assert "or use Square, which needs none (--method square)" in refusal
    output = attack(0, *words, "--method", "square", "--steps", 1)
    assert "fooled" in output.lower()


def test_same_seed_gives_the_same_file(song: Path, tmp_path: Path) -> None:
    a, b = tmp_path / "a.wav", tmp_path / "b.wav"
    for out in (a, b):
        attack(0, song, *MODEL, "--out", out, "--steps", 2, "--snr-db", 60, "--seed", 3)
    assert a.read_bytes() == b.read_bytes()


@pytest.mark.parametrize("options", [("--start", 0.8, "--duration", 1.7), ("--whole",)])
def test_a_sound_kept_on_disk_gives_the_same_file(
    options: tuple[object, ...], song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    y, _ = read_audio(song)
    loud = torch.cat([y, y * 3 / y.abs().max(), y])  # the peak of the whole sound counts
    soundfile.write(tmp_path / "loud.wav", loud.numpy(), SR, subtype="FLOAT")
    written = []
    for seconds in (600.0, 1.0):
        monkeypatch.setattr(files, "LONG", seconds)
        monkeypatch.setattr("otoscope.workflows.attack._READ", 10_000)
        out = tmp_path / "a.wav"
        attack(
            0, tmp_path / "loud.wav", *MODEL, "--out", out, "--snr-db", 80, "--steps", 1, *options
        )
        written.append(out.read_bytes())
    assert written[0] == written[1]


def test_report_is_one_page_with_the_sounds(song: Path, tmp_path: Path) -> None:
    page = tmp_path / "adv.html"
    attack(0, song, *MODEL, "--out", tmp_path / "a.wav", "--steps", 2, "--html", page)
    assert page.read_text().count("<audio") == 3


def test_whole_file_is_attacked_in_pieces_and_silence_is_left(song: Path, tmp_path: Path) -> None:
    y, _ = read_audio(song)
    sounds = torch.cat([y, torch.zeros_like(y), y, y[: len(y) // 2]])
    soundfile.write(tmp_path / "long.wav", sounds.numpy(), SR, subtype="FLOAT")
    out = tmp_path / "adv.wav"
    options = ("--whole", "--duration", len(y) / SR, "--snr-db", 10, "--steps", 3)
    document = json.loads(
        attack(1, tmp_path / "long.wav", *MODEL, "--out", out, *options, "--json")
    )
    assert [piece["left"] for piece in document["pieces"]] == ["", "silent", ""]
    seconds = [piece["evaluation"]["seconds"] for piece in document["pieces"] if not piece["left"]]
    assert seconds == pytest.approx([len(y) / SR, 1.5 * len(y) / SR], abs=1e-3)
    written = soundfile.read(out)[0]
    assert len(written) == len(sounds)
    assert not written[len(y) : 2 * len(y)].any()
    noise = written - sounds.double().numpy()
    assert document["snr_db"] == pytest.approx(
        20 * np.log10(np.linalg.norm(sounds) / np.linalg.norm(noise)), abs=1e-4
    )
    assert document["snr_db"] >= 10 - 0.01


def test_sound_beyond_full_scale_is_turned_down_and_that_is_said(
    song: Path, tmp_path: Path
) -> None:
    y, _ = read_audio(song)
    loud = tmp_path / "loud.wav"
    soundfile.write(loud, (2 * y / y.abs().max()).numpy(), SR, subtype="FLOAT")
    output = attack(0, loud, *MODEL, "--out", tmp_path / "a.wav", "--steps", 1, "--snr-db", 80)
    assert "The sound was attenuated by 6.02 dB first" in output


def test_tags_are_attacked_one_at_a_time(song: Path, tmp_path: Path) -> None:
    """Outputs that do not sum to 1 hold or not each for itself."""
    code = tmp_path / "tags.py"
    code.write_text(OWN.format(outputs="torch.cat([p, p.sqrt()], 1)", names="['voice', 'band']"))
    model = ["--model", f"{code}:make"]
    out = tmp_path / "adv.wav"
    document = json.loads(attack(0, song, *model, "--out", out, *_FEW, "--target", "not band"))
    assert document["pieces"][0]["evaluation"]["aim"] == "not band"
    document = json.loads(attack(0, song, *model, "--out", out, *_FEW))  # the highest of them
    assert document["pieces"][0]["evaluation"]["aim"] == "band"


def test_of_classes_one_holds(song: Path, tmp_path: Path) -> None:
    code = tmp_path / "classes.py"
    code.write_text(OWN.format(outputs="torch.cat([p, 1 - p], 1)", names="['sung', 'played']"))
    model = ["--model", f"{code}:make"]
    out = tmp_path / "adv.wav"
    document = json.loads(attack(0, song, *model, "--out", out, *_FEW, "--target", "played"))
    result = document["pieces"][0]["evaluation"]
    assert (result["aim"], result["label_before"]) == ("played", "sung")
    refusal = attack(2, song, *model, "--out", out, *_FEW, "--target", "not sung")
    assert "outputs are exclusive classes; must be one of sung, played, or none" in refusal
    refusal = attack(2, song, *model, "--out", out, *_FEW, "--target", "sung")
    assert "the model hears 'sung' already: choose another target (played)" in refusal


_FEW = ("--steps", 1, "--snr-db", 90, "--json")

OWN = """
import torch
import otoscope

class Own(torch.nn.Module):
    differentiable = True

    def __init__(self):
        super().__init__()
        self.inner = otoscope.models.load("synth-singing")
        self.output_names = {names}

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)

    def forward(self, batch):
        p = self.inner(batch)
        return {outputs}

def make():
    return Own()

def deaf():
    own = Own()
    own.differentiable = False
    return own
"""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--snr-db", 0], "snr_db is 0.0, must be finite and > 0 dB"),
        (["--snr-db", -3], "snr_db is -3.0, must be finite and > 0 dB"),
        (["--snr-db", "inf"], "snr_db is inf, must be finite and > 0 dB"),
        (["--snr-db", "nan"], "snr_db is nan, must be finite and > 0 dB"),
        (["--target", "singing"], "the model hears 'singing' already: choose another target (not "),
        (["--target", "singin"], "target is 'singin', the model has no such output; did you mean"),
        (["--target", "not singing", "--untargeted"], "--untargeted beside --target: choose one"),
        (["--whole", "--start", 1], "--whole beside --start: choose one"),
        (["--domain", "cepstrum"], "domain is 'cepstrum', must be waveform or magnitude"),
        (["--start", 99], "start is 99 s, the sound lasts 1.68 s"),
        (["--start", -1], "start is -1; it must be seconds, 0 or more"),
        (["--duration", 0], "duration is 0; it must be seconds above 0"),
        (["--duration", 0.5], "frames; the model takes 115 at once"),
        (["--steps", 0], "steps is 0, must be an integer >= 1"),
        (["--confidence", 1.5], "confidence is 1.5, must be in (0, 1]"),
        (["--method", "fgsm"], "method is 'fgsm', must be one of pgd, magnitude, apgd, fab, cw"),
        (["--method", "fab", "--domain", "magnitude"], "method is 'fab' beside domain 'magnitude'"),
        (["--method", "magnitude", "--domain", "waveform"], "domain is 'waveform' beside method"),
        (["--draws", 3], "no transforms to draw; leave out --draws, or give --transforms"),
        (["--transforms", "echo:3"], "transforms has 'echo:3', must be gain:DB, shift:SAMPLES"),
        (["--transforms", "shift:0.5"], "transforms has 'shift:0.5', must be gain:DB"),
        (["--transforms", "gain:-1"], "gain_db is -1.0"),
        (["--transforms", "gain:3", "--draws", 0], "draws is 0, must be an integer >= 1"),
        (["--segmental-snr-db", 0], "segmental_snr_db is 0.0, must be finite and > 0 dB"),
        (["--workers", 0], "workers is 0, must be an integer >= 1"),
        (["--curve"], "which is no folder: a curve needs one adversary of each of many files"),
        (["--device", "gpu"], "device is 'gpu', must be cpu or cuda"),
        (["--model", "synth-singin"], "nearest: synth-singing"),
        (["--html", "/no/such/folder/x.html"], "there is no folder /no/such/folder"),
    ],
)
def test_bad_options_get_one_line(
    options: list[object], message: str, song: Path, tmp_path: Path
) -> None:
    out = tmp_path / "adv.wav"
    assert message in attack(2, song, *MODEL, "--out", out, *options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["adv.ogg", "adv.mp3", "adv"])
def test_lossy_files_are_refused(song: Path, tmp_path: Path, name: str) -> None:
    output = attack(2, song, *MODEL, "--out", tmp_path / name)
    assert "must end in .wav or .flac: other formats are lossy" in output


def fault(name: str, folder: Path) -> Path:
    """Make a sound file with a fault."""
    path = folder / "fault.wav"
    tone = np.sin(np.arange(3 * SR) / 10).astype(np.float32)
    if name == "NaN":
        tone[999] = np.nan
    sounds: dict[str, Any] = {"silence": 0 * tone, "one sample": tone[1:2], "NaN": tone}
    if name in sounds:
        soundfile.write(path, sounds[name], SR, subtype="FLOAT")
    elif name == "text":
        path.write_text("la la la")
    return path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("silence", "fault.wav: all 66150 samples are silent: silence has no signal-to-noise"),
        ("silence", "choose another excerpt with --start"),
        ("one sample", "fault.wav: y has 1 samples; one frame needs 1024"),
        ("NaN", "fault.wav: 1 of 66150 samples are NaN or infinite"),
        ("text", "cannot be read as sound"),
        ("missing", "fault.wav is not there"),
    ],
)
def test_bad_files_get_one_line_and_leave_nothing(name: str, message: str, tmp_path: Path) -> None:
    out = tmp_path / "adv.wav"
    assert message in attack(2, fault(name, tmp_path), *MODEL, "--out", out)
    assert not out.exists()


def test_model_without_gradient_gets_one_line(song: Path, tmp_path: Path) -> None:
    code = tmp_path / "own.py"
    code.write_text(OWN.format(outputs="p", names="['singing']"))
    output = attack(2, song, "--model", f"{code}:deaf", "--out", tmp_path / "a.wav")
    assert "gives no gradient (differentiable is False)" in output
    code.write_text(OWN.format(outputs="p.detach()", names="['singing']"))
    output = attack(2, song, "--model", f"{code}:make", "--out", tmp_path / "a.wav")
    assert "song.wav: the model gives no gradient" in output


def test_clipped_sound_is_told(song: Path, tmp_path: Path) -> None:
    y, _ = read_audio(song)
    path = tmp_path / "clipped.wav"
    soundfile.write(path, (8 * y).clamp(-1, 1).numpy(), SR, subtype="FLOAT")
    output = attack(0, path, *MODEL, "--out", tmp_path / "a.wav", "--steps", 1, "--snr-db", 80)
    assert "samples of the original are at full scale: clipped?" in output


def test_help_says_what_the_exit_codes_mean() -> None:
    output = attack(0, "--help")
    assert "The exit code is 1 if the model was fooled" in output
    assert "Example: otoscope attack song.ogg" in output


def test_example_writes_sounds_and_pages(tmp_path: Path) -> None:
    options = ("--seconds", "1.7", "--snr-db", "10")
    done = run_script("examples/fool_detector.py", str(tmp_path), *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The bound held on the file: 10.00 dB required") == 2
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.{kind}" for name in ("mambo", "piano-ballad") for kind in ("flac", "html")
    }
