"""Every option of `attack`, with every method, changes what the model is asked, or is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from otoscope import models
from otoscope.cli.app import app
from otoscope.cli.options import METHOD
from otoscope.signal import write_audio
from otoscope.workflows import attack as workflow
from otoscope.workflows.attack_methods import METHODS, USED_BY
from tests.cli.test_help import options
from tests.support.commands import COMMANDS

SR = 8000

# A value of each option other than its default, beside the options that it needs to matter.
VALUES: dict[str, tuple[str, ...]] = {
    "--snr-db": ("--snr-db", "12"),
    "--segmental-snr-db": ("--segmental-snr-db", "9"),
    "--norm": ("--norm", "linf"),
    "--steps": ("--steps", "2"),
    "--restarts": ("--restarts", "3"),
    "--masking": ("--masking", "0.5"),
    "--transforms": ("--transforms", "noise:20"),
    "--draws": ("--draws", "3"),
    "--confidence": ("--confidence", "0.2"),
    "--nearest": ("--nearest",),
    "--speech": ("--speech",),
    "--seed": ("--seed", "5"),
}
NEEDED = {"--draws": ("--transforms", "noise:20")}
# Options of the method alone, of folders, and --nearest, which is what the method least-norm does;
# universal draws nothing, but for transforms.
ELSEWHERE = {"--method", "--domain", "--curve", "--workers"}
SAID_AGAIN = {("least-norm", "--nearest"), ("universal", "--seed")}
# Each option must matter where the attack fails at once, or where it succeeds easily.
HARD, EASY = ("--snr-db", "70", "--steps", "3"), ("--snr-db", "1", "--steps", "20")
PLACES: tuple[tuple[str, ...], ...] = (HARD, EASY, ("--steps", "3"))


class Listening(torch.nn.Module):
    """A small network of waveforms that keeps what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        hidden = [torch.nn.Linear(400, 16), torch.nn.Tanh(), torch.nn.Linear(16, 4)]
        self.net = torch.nn.Sequential(*hidden, torch.nn.Softmax(1))
        self.asked: list[float] = []

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        self.asked.append(float(batch.detach().double().square().sum()))
        answer: torch.Tensor = self.net(batch)
        return answer


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the model is asked: one number per batch."""
    net = Listening()
    names = ["a", "b", "c", "d"]
    model = models.WaveformListener(net, sample_rate=SR, seconds=0.05, output_names=names)
    monkeypatch.setattr(workflow, "load_identified_listener", lambda *_, **__: (model, {}))
    monkeypatch.setattr(workflow, "speech_rating", lambda: lambda y, sr: 3.0)
    return net.asked


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 0.05 s of noise."""
    path = tmp_path_factory.mktemp("sound") / "noise.wav"
    y = 0.1 * torch.randn(400, generator=torch.Generator().manual_seed(1))
    write_audio(path, y, sr=SR)
    return path


def attacked(sound: Path, out: Path, asked: list[float], *words: str) -> Any:
    """Return what the model was asked and what was measured; the refusal, if it was one."""
    asked.clear()
    if "universal" in words:  # one change for a folder
        sound, out = sound.parent, out.with_suffix("")
    command = ["attack", str(sound), "--model", "m", "--out", str(out), "--json", *words]
    result = CliRunner().invoke(app, command)
    if result.exit_code == 2:
        assert not out.exists()
        return SimpleNamespace(refusal=result.stderr)
    document = json.loads(result.stdout)
    if out.is_dir():
        shutil.rmtree(out)
    else:
        out.unlink()
    return SimpleNamespace(refusal="", seen=(list(asked), document["pieces"]))


def test_every_option_of_the_method_is_tried() -> None:
    panels = {
        name
        for name, option in options(COMMANDS["attack",]).items()
        if name[:2] == "--" and option.rich_help_panel == METHOD
    }
    assert panels == {*VALUES, *ELSEWHERE}
    assert {f"--{name.replace('_', '-')}" for name in USED_BY} <= {*VALUES}


@pytest.mark.parametrize("option", VALUES)
@pytest.mark.parametrize("method", METHODS)
def test_an_option_changes_what_is_asked_or_is_refused(
    method: str, option: str, sound: Path, tmp_path: Path, asked: list[float]
) -> None:
    out = tmp_path / "adv.wav"
    restarts = ("--restarts", "2") if method in USED_BY["restarts"] else ()
    base = ("--method", method, *restarts, "--duration", "0.05")
    used = method in USED_BY.get(option[2:].replace("-", "_"), METHODS)
    differs = []
    for place in PLACES[-1:] if option == "--nearest" else PLACES:
        words = (*without(base, option), *without(place, option), *NEEDED.get(option, ()))
        before = attacked(sound, out, asked, *words)
        if before.refusal:  # a needed option or the place is none of the method
            continue
        after = attacked(sound, out, asked, *words, *VALUES[option])
        if after.refusal:
            name = option[2:].replace("-", "_")
            assert f"{name} is" in after.refusal
            assert "use; leave out" in after.refusal
            continue
        differs.append(before.seen != after.seen)
        if differs[-1]:
            break
    if used and (method, option) not in SAID_AGAIN:
        assert any(differs)
    elif not used:
        assert differs == []


def without(words: tuple[str, ...], option: str) -> tuple[str, ...]:
    """Leave out an option with its value."""
    at = words.index(option) if option in words else len(words)
    return words[:at] + words[at + 2 :]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "fab --norm linf",
            "norm is 'linf', which method fab does not use; leave out --norm, or choose --method "
            "pgd or --method apgd or --method square or --method strong or --method least-norm or "
            "--method universal",
        ),
        (
            "apgd --masking 0.5",
            "masking is 0.5, which method apgd does not use; leave out --masking, or choose "
            "--method pgd or --method magnitude",
        ),
        ("cw --nearest", "nearest is True, which method cw does not use; leave out --nearest, or"),
        ("least-norm --snr-db 9", "snr_db is 9.0, which method least-norm does not use; leave out"),
        ("pgd --nearest --snr-db 9", "snr_db is 9.0, which nearest does not use; leave out --snr-"),
    ],
)
def test_a_refusal_names_the_options_and_methods_to_choose(
    words: str, message: str, sound: Path, tmp_path: Path, asked: list[float]
) -> None:
    answer = attacked(sound, tmp_path / "adv.wav", asked, "--method", *words.split())
    assert message in " ".join(answer.refusal.split())
    assert not asked


@pytest.mark.parametrize(
    "words",
    [
        ("--method", "least-norm", "--snr-db", "40"),
        ("--method", "least-norm", "--confidence", "0.9"),
        ("--nearest", "--snr-db", "40"),
        ("--nearest", "--method", "magnitude", "--confidence", "0.9"),
        ("--method", "fab", "--norm", "l2"),
        ("--method", "apgd", "--masking", "0"),
        ("--draws", "1"),
    ],
)
def test_an_option_given_with_its_default_is_refused_too(
    words: tuple[str, ...], sound: Path, tmp_path: Path, asked: list[float]
) -> None:
    assert attacked(sound, tmp_path / "adv.wav", asked, *words).refusal
    assert not asked
