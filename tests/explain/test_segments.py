"""Segments: block sizes of the papers, extents, cuts at events, and segmentations by name."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.explain import segments
from otoscope.protocols import Patch


def paper_patch() -> Patch:
    return Patch(
        torch.zeros(115, 80),
        sr=22050,
        hop_length=315,
        mel_hz=torch.linspace(50, 7950, 80),
        start=12.0,
    )


def test_blocks_of_paper_a() -> None:
    ids = segments.temporal(10)(paper_patch()).map.ids
    assert ids[:, 0].bincount().tolist() == [11] * 9 + [16]
    assert (ids == ids[:, :1]).all()
    ids = segments.spectral(10)(paper_patch()).map.ids
    assert ids[0].bincount().tolist() == [8] * 10
    assert (ids == ids[:1]).all()


def test_rectangles_of_ismir_2017() -> None:
    ids = segments.grid(6, 4)(paper_patch()).map.ids
    edges = [0, 19, 38, 57, 76, 95, 115]
    for time in range(6):
        for band in range(4):
            block = ids[edges[time] : edges[time + 1], 20 * band : 20 * band + 20]
            assert (block == 4 * time + band).all()


@given(frames=st.integers(1, 60), mels=st.integers(1, 40), data=st.data())
def test_blocks_are_floor_of_size_and_the_last_takes_the_rest(
    frames: int, mels: int, data: st.DataObject
) -> None:
    n_time, n_mel = data.draw(st.integers(1, frames)), data.draw(st.integers(1, mels))
    cut = segments.grid(n_time, n_mel)(Patch(torch.zeros(frames, mels)))
    assert len(cut) == cut.map.n == n_time * n_mel
    for i, extent in enumerate(cut.extents):
        time, band = divmod(i, n_mel)
        step, width = frames // n_time, mels // n_mel
        end = frames if time == n_time - 1 else (time + 1) * step
        top = mels if band == n_mel - 1 else (band + 1) * width
        assert extent.frames == (time * step, end)
        assert extent.bands == (band * width, top)
        assert (cut.map.ids[slice(*extent.frames), slice(*extent.bands)] == i).all()


def test_extents_in_seconds_and_hertz() -> None:
    extents = segments.temporal(10)(paper_patch()).extents
    assert extents[1].name == "time 1"
    assert extents[1].seconds == pytest.approx((12 + 11 / 70, 12 + 22 / 70))
    assert extents[1].hz == pytest.approx((0, 8000))
    extents = segments.spectral(10)(paper_patch()).extents
    assert extents[2].name == "band 2"
    assert extents[2].hz == pytest.approx((1600, 2400))
    assert segments.grid(2, 2)(Patch(torch.zeros(4, 4))).extents[3].name == "time 1, band 1"
    assert segments.grid(2, 2)(Patch(torch.zeros(4, 4))).extents[3].seconds is None


def test_labels_may_have_gaps_and_any_shape() -> None:
    labels = torch.tensor([[5, 5, -2], [5, 9, -2]])
    cut = segments.from_labels(labels)(Patch(torch.zeros(2, 3)))
    assert cut.map.ids.tolist() == [[1, 1, 0], [1, 2, 0]]
    assert [e.name for e in cut.extents] == ["segment -2", "segment 5", "segment 9"]
    assert cut.extents[1].bands == (0, 2)


def clicks(times: list[float], sr: int = 22050, seconds: float = 4.0) -> torch.Tensor:
    y = torch.zeros(int(sr * seconds))
    rng = np.random.default_rng(0)
    for t in times:
        burst = rng.normal(size=800) * np.exp(-np.arange(800) / 150)
        y[int(t * sr) : int(t * sr) + 800] += torch.from_numpy(burst).float()
    return y


def sounding(y: torch.Tensor) -> Patch:
    return Patch(torch.zeros(280, 4), y=y, sr=22050, hop_length=315, start=3.0)


def test_onsets_cut_where_the_clicks_are() -> None:
    times = [0.7, 1.6, 2.2, 3.1]
    cut = segments.onsets()(sounding(clicks(times)))
    assert len(cut) == 5
    starts = [extent.seconds[0] - 3.0 for extent in cut.extents[1:] if extent.seconds]
    assert starts == pytest.approx(times, abs=0.07)  # moved back by up to two frames of 512
    assert str(segments.onsets()) == "onsets()"


def test_beats_cut_at_a_steady_pulse() -> None:
    cut = segments.beats()(sounding(clicks([0.25 + 0.5 * i for i in range(7)])))
    starts = np.array([extent.seconds[0] - 3.0 for extent in cut.extents[1:] if extent.seconds])
    assert len(starts) >= 4
    assert np.abs(starts % 0.5 - 0.25).max() < 0.06
    assert cut.extents[0].name == "beat 0"


def test_bad_segments_are_refused() -> None:
    patch = Patch(torch.zeros(10, 4))
    with pytest.raises(ParameterError, match="12 segments for 10 frames; use at most 10"):
        segments.temporal(12)(patch)
    with pytest.raises(ParameterError, match="5 segments for 4 mel bands"):
        segments.spectral(5)(patch)
    with pytest.raises(ParameterError, match="n_time is 0"):
        segments.temporal(0)
    with pytest.raises(ParameterError, match=r"labels have shape \(2, 2\), patch \(10, 4\)"):
        segments.from_labels(torch.zeros(2, 2, dtype=torch.long))(patch)
    with pytest.raises(ParameterError, match="label map is integer"):
        segments.from_labels(torch.zeros(2, 2))
    with pytest.raises(ParameterError, match="1 names came for 2 labels"):
        segments.from_labels(torch.tensor([[0, 1]]), names=["a"])
    with pytest.raises(ParameterError, match="beat-synchronous segments need the patch"):
        segments.beats()(patch)
    with pytest.raises(ParameterError, match="no onset was found"):
        segments.onsets()(sounding(torch.zeros(88200)))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("temporal:10", segments.temporal(10)),
        ("spectral:8", segments.spectral(8)),
        ("grid:6x4", segments.grid(6, 4)),
        ("beats", segments.beats()),
        ("onsets", segments.onsets()),
    ],
)
def test_a_name_is_the_segmentation_that_it_calls(name: str, meant: segments.Segmentation) -> None:
    assert segments.resolve(name) == meant


@pytest.mark.parametrize("name", ["", "time:10", "from_labels:3", "temporal 10", "temporal:(10)"])
def test_other_names_are_refused_with_those_that_there_are(name: str) -> None:
    message = re.escape(f"segments is '{name}'; write temporal:10, spect")
    with pytest.raises(ParameterError, match=message):
        segments.resolve(name)


@pytest.mark.parametrize(
    "name", ["temporal", "temporal:", "temporal:ten", "temporal:6x4", "temporal:²", "temporal:2.5"]
)
def test_other_numbers_are_refused_with_an_example(name: str) -> None:
    with pytest.raises(ParameterError, match=f"segments is '{name}'; temporal takes n: write te"):
        segments.resolve(name)
    with pytest.raises(ParameterError, match="grid takes n_time, n_mel: write grid:6x4"):
        segments.resolve("grid:6")
    with pytest.raises(ParameterError, match="beats takes no numbers: write beats"):
        segments.resolve("beats:4")


def test_every_segmentation_in_text_reads_back_what_records_write() -> None:
    for entry in segments.SEGMENTATIONS.entries.values():
        assert entry.description
        if entry.example:
            made = segments.resolve(entry.example)
            assert segments.resolve(str(made)) == made


def test_counts_are_checked_as_in_a_call() -> None:
    with pytest.raises(ParameterError, match="n_time is 0, must be >= 1"):
        segments.resolve("temporal:0")


def test_a_label_map_and_a_segmentation_will_do() -> None:
    assert str(segments.resolve(torch.tensor([[0, 1]]))) == "from_labels(2 segments)"
    cut = segments.temporal(3)
    assert segments.resolve(cut) is cut


@pytest.mark.parametrize("number", [10, None, 2.5])
def test_what_is_no_segmentation_is_refused_with_what_to_pass(number: object) -> None:
    with pytest.raises(ParameterError, match=rf"segments is {number}; give a name such as 'temp"):
        segments.resolve(number)  # type: ignore[arg-type]


def test_a_frame_at_an_event_belongs_to_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(segments.EVENT_TIMES, "beat", lambda *_: np.array([0.3, 0.7]))
    patch = Patch(torch.zeros(10, 4), y=torch.zeros(1000), sr=1000, hop_length=100)
    extents = segments.beats()(patch).extents
    assert [extent.frames for extent in extents] == [(0, 3), (3, 7), (7, 10)]
