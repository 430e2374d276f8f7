"""Every reader of files from elsewhere: a damaged file is read, or refused by a ParameterError."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.explain import Explanation, SoundLIME, segments
from otoscope.folk.abc import NotationError, read_book
from otoscope.folk.data import load_prepared
from otoscope.folk.model import FolkModel, FolkRNN, import_folkrnn, load_folkrnn, save_folkrnn
from otoscope.folk.tokens import Vocabulary, read_token_file
from otoscope.intervene.interrogation.session import AnswerLog
from otoscope.metrics import statistics
from otoscope.models import load
from otoscope.models.bundle import load_bundle, save_bundle
from otoscope.models.checksummed import save_with_checksum
from otoscope.models.desperf import DeSPerF, load_rhythm, save_desperf
from otoscope.models.generator import MelGenerator
from otoscope.models.generator_bundle import TrainedGenerator, load_generator, save_generator
from otoscope.models.zoo.tf1_checkpoint import read_variables
from otoscope.models.zoo.weights import read_onnx
from otoscope.protocols import Patch
from otoscope.records import Records, read
from otoscope.signal import read_audio, svd2015
from otoscope.signal.audio.files import Blocks, write_audio
from otoscope.signal.rhythm.spectral_periodicity import SpectralPeriodicity
from otoscope.train.loop import _read as read_checkpoint
from otoscope.workflows.labelled_items import read_items
from otoscope.workflows.stats import load_statistics
from tests.folk.model.test_pickles import arrays, written
from tests.models.test_zoo import EIGHT_BYTES, FLOATS, TWO, checkpoint
from tests.models.zoo.test_weights import INTEGERS, PACKED, RAW, onnx_of

Reader = Callable[[Path], object]


def blocks(path: Path) -> list[torch.Tensor]:
    return list(Blocks(path, sr=16000))


def prepared(path: Path) -> object:
    return load_prepared(path.parent)


def variables(path: Path) -> object:
    return read_variables(path.with_suffix(""))


def answers(path: Path) -> None:
    AnswerLog(path, {"doses": [1]}, seed=0).__exit__(None, None, None)


def make_statistics(path: Path) -> None:
    text = json.dumps({"features": {"model": "a"}, "files": {}, "rates": {"8000": 1}})
    arrays = {"mu": np.zeros(2), "cov": np.eye(2), "count": np.array(9), "settings": np.array(text)}
    np.savez(path, **arrays)  # type: ignore[arg-type]


def make_features(path: Path) -> None:
    names = np.array(["a", "b"])
    grid = {"features": np.ones((1, 2, 3)), "dilation_percent": np.zeros(1)}
    np.savez(path, **grid, recording=names, label=names)  # type: ignore[arg-type]


def make_table(path: Path) -> None:
    make_features(path.parent / "features.npz")
    path.write_text("file,label,group\na,x,1\nb,y,2\n")


def make_checkpoint(path: Path) -> None:
    net = torch.nn.Linear(2, 2)
    optimiser = torch.optim.Adam(net.parameters()).state_dict()
    plain = {"schema": 1, "identity": {"a": [1]}, "step": 3, "scores": [(1, 0.5)], "is_done": False}
    torch.save({**plain, "network": net.state_dict(), "optimiser": optimiser, "state": {}}, path)


def make_bundle(path: Path) -> None:
    save_bundle(path, load("synth-singing"), card={"licence": "x"})


def make_records(path: Path) -> None:
    with Records(path) as file:
        file.append("a", {"score": 1.0}, seed=0)


def make_answers(path: Path) -> None:
    with AnswerLog(path, {"doses": [1]}, seed=0) as log:
        log.put(0, "items", ["a", "b"])


def make_index(path: Path) -> None:
    checkpoint(path.with_suffix(""), FLOATS + TWO + EIGHT_BYTES, bytes(8))


def make_onnx(path: Path) -> None:
    path.write_bytes(onnx_of(RAW, PACKED, INTEGERS))


def make_desperf(path: Path) -> None:
    save_desperf(path, desperf(), card={"licence": "x"})


def desperf() -> DeSPerF:
    feature = SpectralPeriodicity(2000, n_fft=256, hop_length=50, n_mels=10, n_mfcc=5, max_lag=1.0)
    return DeSPerF(["a", "b"], feature=feature, segment=2.0, hidden=(3,))


def make_generator(path: Path) -> None:
    front_end = replace(svd2015(), n_mels=20)
    save_generator(path, TrainedGenerator(MelGenerator(16, 20, shrink=8), front_end, {"a": "x"}))


def make_folk(path: Path) -> None:
    vocabulary = Vocabulary.of([["M:4/4", "K:Cmaj", "C"]])
    save_folkrnn(path, FolkModel(FolkRNN(len(vocabulary), hidden=4, layers=1), vocabulary))


def sound(path: Path) -> None:
    write_audio(path, torch.linspace(-0.5, 0.5, 3000), sr=8000)


@cache
def explanation_text() -> str:
    lime = SoundLIME(lambda x: x[:, 0, 1], segments=segments.temporal(2), content=0.0)
    return lime.explain(Patch(torch.ones(2, 1))).to_json()


READERS: dict[str, tuple[str, Callable[[Path], Any], Reader]] = {
    "statistics": ("s.npz", make_statistics, statistics.load),
    "statistics of a workflow": ("s.npz", make_statistics, load_statistics),
    "features": ("features.npz", make_features, read_items),
    "table": ("t.csv", make_table, lambda path: read_items(path.parent, path)),
    "checkpoint": ("a.ckpt", make_checkpoint, read_checkpoint),
    "description": ("b.json", make_bundle, load_bundle),
    "tensors": ("b.safetensors", make_bundle, load_bundle),
    "folk description": ("f.json", make_folk, load_folkrnn),
    "system description": ("d.json", make_desperf, load_rhythm),
    "generator description": ("g.json", make_generator, load_generator),
    "pickle": ("m.pkl", lambda path: written(path, arrays(3)), import_folkrnn),
    "index": ("c.index", make_index, variables),
    "onnx": ("a.onnx", make_onnx, lambda path: read_onnx(path, command="")),
    "records": ("r.jsonl", make_records, read),
    "records to continue": ("r.jsonl", make_records, lambda path: Records(path).close()),
    "answers": ("a.jsonl", make_answers, answers),
    "wav": ("a.wav", sound, read_audio),
    "flac": ("a.flac", sound, read_audio),
    "ogg": ("a.ogg", sound, lambda path: read_audio(path, sr=16000)),
    "blocks": ("a.wav", sound, blocks),
    "tokens": ("t.txt", lambda p: p.write_text("M:4/4\nK:Cmaj\nC 2 |\n"), read_token_file),
    "book": ("t.abc", lambda p: p.write_text("X:1\nM:4/4\nK:C\nCDEF|\n"), read_book),
    "explanation": (
        "e.json",
        lambda path: path.write_text(explanation_text()),
        lambda path: Explanation.from_json(path.read_text("utf-8", "replace")),
    ),
}


@cache
def whole(name: str) -> tuple[Path, bytes]:
    """Write a whole file and return its place and content; it must be read."""
    file, make, reader = READERS[name]
    path = Path(mkdtemp()) / file
    make(path)
    content = path.read_bytes()
    if name != "statistics of a workflow":  # whose features lack all but the model
        reader(path)
    return path, content


def is_read_or_refused(name: str, content: bytes) -> None:
    path, _ = whole(name)
    path.write_bytes(content)
    with suppress(ParameterError, NotationError):
        READERS[name][2](path)


@pytest.mark.filterwarnings("ignore::otoscope.signal.TruncatedSound")
@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
@settings(max_examples=25)
def test_a_damaged_file_is_read_or_refused(name: str, data: st.DataObject) -> None:
    _, content = whole(name)
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        begin = data.draw(st.integers(0, len(damaged)))
        end = min(len(damaged), begin + data.draw(st.sampled_from([0, 1, 1, 4, 40, 1 << 30])))
        damaged[begin:end] = data.draw(st.sampled_from(BYTES)) or data.draw(st.binary(max_size=9))
    is_read_or_refused(name, bytes(damaged))


BYTES = [b"", b"\xff" * 8, b"\0" * 4, b"[" * 300, b'"', b"99999999999999", b"1e999", b"-1", b"null"]
VALUES: list[Any] = [None, -1, 10**12, 10**400, 1e308, True, "", "x", [], [[]], {}, {"a": None}]


@st.composite
def other_values(draw: st.DrawFn, value: Any) -> Any:
    """Draw the value with one part replaced, removed or added."""
    if not isinstance(value, dict | list) or not value or draw(st.booleans()):
        return draw(st.sampled_from(VALUES))
    place = draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
    other = value.copy()
    if draw(st.integers(0, 5)) == 0:
        del other[place]
    else:
        other[place] = draw(other_values(value[place]))
    return other


@pytest.mark.parametrize("name", ["explanation", "records to continue", "answers"])
@given(data=st.data())
@settings(max_examples=60)
def test_a_document_of_other_types_is_read_or_refused(name: str, data: st.DataObject) -> None:
    _, content = whole(name)
    lines = content.decode().splitlines()
    changed = data.draw(st.integers(0, len(lines) - 1))
    lines[changed] = json.dumps(data.draw(other_values(json.loads(lines[changed]))))
    is_read_or_refused(name, "".join(f"{line}\n" for line in lines).encode())


@pytest.mark.parametrize("name", [name for name in READERS if name.endswith("description")])
@given(data=st.data())
@settings(max_examples=40)
def test_a_bundle_whose_checksum_is_right_is_read_or_refused(
    name: str, data: st.DataObject
) -> None:
    """Whoever alters a bundle on purpose writes its checksum anew."""
    path, content = whole(name)
    path.write_bytes(content)
    loaded = json.loads(content)
    del loaded["sha256"]
    form = loaded["format"]
    changed = data.draw(other_values(loaded))
    tensors = {"mean": torch.zeros(80)} if data.draw(st.booleans()) else TENSORS[name](path)
    if isinstance(changed, dict):
        save_with_checksum(path, tensors, {**changed, "format": form})
        is_read_or_refused(name, path.read_bytes())


TENSORS: dict[str, Callable[[Path], Any]] = {
    "description": lambda path: load("synth-singing").state_dict(),
    "folk description": lambda path: FolkRNN(5, hidden=4, layers=1).state_dict(),
    "system description": lambda path: desperf().state_dict(),
    "generator description": lambda path: MelGenerator(16, 20, shrink=8).state_dict(),
}
