"""Recordings: a long sound in blocks gives what the whole sound gives."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.models import Listener, listener, timelines
from otoscope.protocols import ListeningModel
from otoscope.signal import Compression, librosa_mel, read_audio, svd2015, write_audio
from otoscope.signal.audio import files
from otoscope.workflows.recording import FolderNotes, Recording, sound_files

SECONDS = 50.3


@pytest.fixture(scope="module")
def model() -> ListeningModel:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(115 * 80, 2))
    return Listener(
        network,
        svd2015(),
        mean=torch.full((80,), -8.0),
        std=torch.ones(80),
        patch_frames=115,
        output_names=["first", "second"],
    ).eval()


@pytest.fixture(scope="module", params=[8000, 22050])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = torch.Generator().manual_seed(0)
    y = 0.1 * torch.randn(round(SECONDS * request.param), generator=generator)
    file = tmp_path_factory.mktemp("long") / "noise.wav"
    write_audio(file, y, sr=request.param, subtype="FLOAT")
    return file


def shorten_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (files, timelines, listener):
        monkeypatch.setattr(module, "LONG", 10.0)
    monkeypatch.setattr(timelines, "_BLOCK", 7.0)


@pytest.mark.parametrize("padded", [False, True])
def test_blocks_change_nothing(
    path: Path, model: ListeningModel, padded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Recording(path, model, padded=padded)
    expected = whole.timeline(around=None)
    shorten_blocks(monkeypatch)
    in_blocks = Recording(path, model, padded=padded)
    assert in_blocks.last == whole.last
    assert in_blocks.starts(5.0) == whole.starts(5.0)
    timeline = in_blocks.timeline(around=None)
    assert torch.allclose(timeline.starts, expected.starts, rtol=0, atol=1e-9)
    assert torch.allclose(timeline.outputs, expected.outputs, rtol=0, atol=1e-4)
    for start in (0.0, 20.0, whole.last):
        patch, reference = in_blocks.patch(start), whole.patch(start)
        assert patch.start == reference.start
        assert torch.allclose(patch.values, reference.values, rtol=0, atol=1e-3)
        around = in_blocks.timeline(around=start), whole.timeline(around=start)
        assert torch.allclose(around[0].outputs, around[1].outputs, rtol=0, atol=1e-4)


def test_frames_are_counted_without_the_whole_transform(path: Path, model: ListeningModel) -> None:
    sound = Recording(path, model, padded=False)
    y = read_audio(path, sr=model.sample_rate)[0]
    n_frames = len(model.prepare(y))
    last = (n_frames - model.patch_frames) * model.hop_length / model.sample_rate
    assert sound.last == last


def test_a_long_sound_is_transformed_in_short_pieces(
    path: Path, model: ListeningModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    prepare = model.prepare

    def counted(y: torch.Tensor) -> torch.Tensor:
        lengths.append(len(y))
        return prepare(y)

    monkeypatch.setattr(model, "prepare", counted)
    shorten_blocks(monkeypatch)
    sound = Recording(path, model, padded=False)
    sound.timeline(around=20.0)
    sound.patch(20.0)
    sound.timeline(around=None)
    assert max(lengths) < 45 * model.sample_rate  # a block or an excerpt, with its context


@pytest.mark.parametrize("relative", [False, True])
def test_excerpts_near_each_other_are_cut_from_one_transform(
    path: Path, model: ListeningModel, relative: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where values depend on the loudest cell of the sound, it is the whole, as in Python."""
    if relative:
        front_end = librosa_mel(n_mels=80, compression=Compression("db", 1e-10, "max"))
        network, names = model.network, model.output_names  # type: ignore[attr-defined]
        model = Listener(network, front_end, patch_frames=115, output_names=names).eval()
    sound = Recording(path, model, padded=False)
    starts = [3.0, 3.7, 9.0]
    expected = [sound.patch(start) for start in starts]
    calls: list[int] = []
    prepare = model.prepare

    def counted(y: torch.Tensor) -> torch.Tensor:
        calls.append(len(y))
        return prepare(y)

    monkeypatch.setattr(model, "prepare", counted)
    patches = sound.patches(starts)
    assert len(calls) == 1
    if relative:
        assert calls == [len(read_audio(path, sr=model.sample_rate)[0])]
    for patch, reference in zip(patches, expected, strict=True):
        assert patch.start == pytest.approx(reference.start, abs=1e-9)
        assert torch.allclose(patch.values, reference.values, rtol=0, atol=1e-5)


def test_an_empty_folder_is_refused_also_beside_others(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "none" / "deeper").mkdir(parents=True)
    with pytest.raises(ParameterError, match=r"none: no sound files \(\.aif"):
        sound_files((tmp_path / "a.wav", tmp_path / "none"))
    assert sound_files((tmp_path,)) == [tmp_path / "a.wav"]


def test_a_link_to_nothing_is_told_from_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "real.wav").touch()
    notes = FolderNotes(tmp_path)
    for name, reason in (("real.wav", ""), ("none.wav", "is a link to nothing")):
        link = tmp_path / f"link-{name}"
        link.symlink_to(tmp_path / name)
        with notes.reading(link):
            raise OSError(13, "Permission denied", str(link))
        assert str(notes.skipped[link.name]) == (reason or "cannot be read: Permission denied")
