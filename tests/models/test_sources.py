"""Identities of a user's models: whatever its answers depend on changes them."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from otoscope.models.loading import load_identified
from otoscope.models.sources import own_sources
from tests.workflows.test_resume import forget

MODEL = """
import numpy
from pathlib import Path
{gain}

def make():
    return lambda x: GAIN * x.mean(1)[:, None]
"""


def named(folder: Path, gain: float) -> None:
    """Write a model whose code imports a module by a text."""
    name = f"gain_{folder.name}_text"
    (folder / f"{name}.py").write_text(f"GAIN = {gain}\n")
    line = f"import importlib\nGAIN = importlib.import_module('{name}').GAIN"
    (folder / "own.py").write_text(MODEL.format(gain=line))


def run(folder: Path, gain: float) -> None:
    """Write a model whose code runs a file of settings."""
    (folder / "settings.py").write_text(f"GAIN = {gain}\n")
    line = "import runpy\nGAIN = runpy.run_path(Path(__file__).parent / 'settings.py')['GAIN']"
    (folder / "own.py").write_text(MODEL.format(gain=line))


LATE = """
class Late:
    def __mul__(self, x):
        return float(numpy.load(Path(__file__).parent / {place})) * x
GAIN = Late()"""


def late(folder: Path, gain: float) -> None:
    """Write a model that reads the number when it is called."""
    np.save(folder / "gain.npy", np.array(gain))
    (folder / "own.py").write_text(MODEL.format(gain=LATE.format(place="'gain.npy'")))


def below(folder: Path, gain: float) -> None:
    """Write a model that reads the number from a folder when it is called."""
    (folder / "kept").mkdir(exist_ok=True)
    np.save(folder / "kept" / "gain.npy", np.array(gain))
    place = "'kept' / Path('gain.npy')"
    (folder / "own.py").write_text(MODEL.format(gain=LATE.format(place=place)))


def not_by_python(folder: Path, gain: float) -> None:
    """Write a model whose number another language reads from a file."""
    save_file({"gain": torch.tensor(gain)}, folder / "gain.safetensors")
    line = "from safetensors import safe_open\nfile = Path(__file__).parent / 'gain.safetensors'\n"
    line += "GAIN = float(safe_open(file, 'pt').get_tensor('gain'))"
    (folder / "own.py").write_text(MODEL.format(gain=line))


def environment(folder: Path, gain: float) -> None:
    """Write a model whose number is a variable of the environment."""
    os.environ["OTOSCOPE_TEST_GAIN"] = str(gain)
    line = "import os\nGAIN = float(os.environ['OTOSCOPE_TEST_GAIN'])"
    (folder / "own.py").write_text(MODEL.format(gain=line))


def around(folder: Path, gain: float) -> None:
    """Write a model that is a function around a network with other weights, of one code."""
    os.environ["OTOSCOPE_TEST_GAIN"] = str(gain)
    (folder / "own.py").write_text(AROUND)


AROUND = """
import os
import torch

def make():
    net = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(net.weight, float(vars(os)["env" + "iron"]["OTOSCOPE_TEST" + "_GAIN"]))
    torch.nn.init.zeros_(net.bias)
    return lambda x: net(x.mean(1)[:, None])
"""
OTHER_WAYS: dict[str, Callable[[Path, float], None]] = {
    way.__name__: way for way in (named, run, late, below, not_by_python, environment, around)
}


@pytest.mark.parametrize("way", OTHER_WAYS)
def test_other_ways_to_change_a_model_change_its_identity(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTOSCOPE_TEST_GAIN", "")  # removed afterwards
    identities = []
    for gain in (1.0, 1.0, -5.0):
        OTHER_WAYS[way](tmp_path, gain)
        forget(tmp_path)
        identities.append(load_identified(f"{tmp_path / 'own.py'}:make")[1])
    assert identities[0] == identities[1] != identities[2]


def test_an_extension_module_is_part_of_a_model(tmp_path: Path) -> None:
    extension = tmp_path / f"fast_gain{EXTENSION_SUFFIXES[0]}"
    (tmp_path / "own.py").write_text("import fast_gain\n")
    extension.write_bytes(b"1")
    assert own_sources(tmp_path / "own.py", None) == {tmp_path / "own.py", extension}


def test_what_python_cannot_parse_is_part_of_a_model(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "TEMPLATE = 'old.py'\ntry:\n    import older\nexcept ImportError:\n    older = None\n"
    )
    (tmp_path / "old.py").write_text("print 'Python 2'\n")
    (tmp_path / "older.py").write_bytes(b"# coding: latin-1\nNAME = 'G\xf6del'\n\0")
    names = {file.name for file in own_sources(tmp_path / "own.py", None)}
    assert names == {"own.py", "old.py", "older.py"}


def test_what_programs_write_is_no_part_of_a_model(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("LOG = 'calls.log'\nPLACE = 'kept'\nTEXT = 'a\\0b'\n")
    (tmp_path / "calls.log").write_text("1")
    (tmp_path / "kept").mkdir()
    assert own_sources(tmp_path / "own.py", None) == {tmp_path / "own.py"}
