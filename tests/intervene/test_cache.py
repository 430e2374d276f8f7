"""What comes from the cache is what would be computed, whatever happens to its folder."""

from __future__ import annotations

import errno
import os
import pickle
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene import (
    Crop,
    FeatureDilation,
    Gain,
    LowPass,
    RenderCache,
    SoundIntervention,
    Tempo,
    WhiteNoise,
)
from otoscope.intervene import cache as module
from otoscope.intervene.base import RenderInput
from tests.support.examples import examples

SR = 8000


def sound(seed: int = 0, n: int = 1000) -> Tensor:
    return 0.1 * torch.randn(2, n, generator=torch.Generator().manual_seed(seed))


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*"))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what was computed and not recalled."""
    names: list[str] = []
    compute = SoundIntervention.apply

    def counted(self: SoundIntervention, source: RenderInput) -> Tensor:
        names.append(str(self))
        return compute(self, source)

    monkeypatch.setattr(SoundIntervention, "apply", counted)
    return names


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [0, 2])
def test_recalls_bit_by_bit_what_was_computed(
    tmp_path: Path, computed: list[str], dtype: torch.dtype, channels: int
) -> None:
    y = sound().to(dtype)[: channels or 1].squeeze(0)
    expected = LowPass(1000).render(y, SR, duration=0.1)
    computed.clear()
    for _ in range(3):
        out = RenderCache(tmp_path / "new" / "folder").render(LowPass(1000), y, SR, duration=0.1)
        assert torch.equal(out, expected)
        assert out.dtype == dtype
        out += 1  # it is the caller's own
    assert computed == ["low-pass 1000 Hz"]


def test_anything_that_matters_makes_another_rendering(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, y = RenderCache(tmp_path), sound()
    cache.render(WhiteNoise(20), y, SR)
    changed = y.clone()
    changed[1, 7] += 1e-6
    cache.render(WhiteNoise(20), changed, SR)
    cache.render(WhiteNoise(20), y.double(), SR)
    cache.render(WhiteNoise(20), y[:1], SR)
    cache.render(WhiteNoise(20), y, SR + 1)
    cache.render(WhiteNoise(20), y, SR, seed=1)
    cache.render(WhiteNoise(21), y, SR)
    cache.render(WhiteNoise(20), y, SR, duration=0.1)
    cache.render(WhiteNoise(20) | Gain(1), y, SR)
    monkeypatch.setattr(module, "_REVISION", module._REVISION + 1)
    cache.render(WhiteNoise(20), y, SR)
    assert len(files(tmp_path)) == 10


def test_two_lengths_made_of_the_same_samples_are_two(tmp_path: Path) -> None:
    cache, slow = RenderCache(tmp_path), Tempo(-50, "librosa")
    assert slow.input_length(99, SR) == slow.input_length(100, SR)
    for n in (99, 100):
        assert cache.render(slow, sound(), SR, duration=n / SR).shape == (2, n)
    assert len(files(tmp_path)) == 2


def test_what_does_not_matter_does_not(tmp_path: Path, computed: list[str]) -> None:
    cache, y = RenderCache(tmp_path), sound()
    cache.render(Gain(3), y, SR, duration=0.1)
    cache.render(Gain(3.0, label_preserving=False), y, SR, duration=0.1, seed=5)
    cache.render(Gain(3), torch.cat([y[:, :800], sound(1)], 1), SR, duration=0.1)
    assert len(computed) == 1


def test_nothing_is_kept_of_what_is_off_or_no_sound(tmp_path: Path) -> None:
    cache, y = RenderCache(tmp_path), sound()
    assert torch.equal(cache.render(Gain(0), y, SR), y)
    rows = torch.eye(3)
    dilation = FeatureDilation(4, available=(-4, 0, 4))
    assert torch.equal(cache.render(dilation, rows, 0), rows[2])
    assert files(tmp_path) == []


def test_a_rendering_never_shares_memory_with_the_sound(tmp_path: Path) -> None:
    cache, y = RenderCache(tmp_path), sound()
    before = y.clone()
    for _ in range(2):
        cache.render(Crop(0.01), y, SR, duration=0.05).zero_()
    assert torch.equal(y, before)


@examples(40)
@given(data=st.data())
def test_a_damaged_file_is_rendered_again(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    cache, y = RenderCache(folder), sound(n=50)
    expected = cache.render(Gain(3), y, SR)
    (path,) = files(folder)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    assert torch.equal(cache.render(Gain(3), y, SR), expected)
    assert path.read_bytes() != content
    assert torch.equal(cache.render(Gain(3), y, SR), expected)


def test_those_not_used_for_longest_go_first_and_the_size_is_kept(tmp_path: Path) -> None:
    size = 32 + 4 * 1000
    cache = RenderCache(tmp_path, max_bytes=10 * size)
    old = time.time() - 1000
    for k in range(10):
        cache.render(Gain(3), sound(k)[0], SR)
        for path in files(tmp_path):
            if path.stat().st_mtime > old + 500:
                os.utime(path, (old + k, old + k))
    oldest = sorted(files(tmp_path), key=lambda path: path.stat().st_mtime)
    cache.render(Gain(3), sound(0)[0], SR)  # used again: now the youngest
    cache.render(Gain(3), sound(10)[0], SR)
    left = files(tmp_path)
    assert oldest[0] in left
    assert oldest[1] not in left
    assert sum(path.stat().st_size for path in left) <= 10 * size
    for k in range(11, 40):
        cache.render(Gain(3), sound(k)[0], SR)
        assert sum(path.stat().st_size for path in files(tmp_path)) <= 10 * size
    assert len(files(tmp_path)) >= 8


def test_the_same_again_finds_as_much_as_there_is_room_for(
    tmp_path: Path, computed: list[str]
) -> None:
    """If those not used for longest went, each would go just before it is asked for."""
    size = 32 + 4 * 1000
    for _ in range(2):
        for path in files(tmp_path):  # older than the cache, however coarse files' times are
            os.utime(path, (path.stat().st_mtime - 1000,) * 2)
        cache = RenderCache(tmp_path, max_bytes=10 * size)
        computed.clear()
        for k in range(20):
            cache.render(Gain(3), sound(k)[0], SR)
    assert len(computed) == 10
    assert len(files(tmp_path)) == 10


def test_what_others_wrote_counts_and_what_is_too_large_is_not_kept(tmp_path: Path) -> None:
    size = 32 + 4 * 1000
    (tmp_path / "notes.txt").write_text("mine")
    for k in range(20):
        RenderCache(tmp_path, max_bytes=5 * size).render(Gain(3), sound(k)[0], SR)
    assert len(files(tmp_path)) <= 6
    assert (tmp_path / "notes.txt").read_text() == "mine"
    before = files(tmp_path)
    RenderCache(tmp_path, max_bytes=size - 1).render(Gain(3), sound(30)[0], SR)
    assert files(tmp_path) == before


@pytest.mark.parametrize("fault", ["write", "folder"])
def test_a_full_or_unwritable_folder_is_warned_of_once_and_stops_nothing(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if fault == "write":
        monkeypatch.setattr(Path, "write_bytes", full)
        folder, reason = tmp_path, "No space left on device"
    else:
        (tmp_path / "file").write_text("")
        folder, reason = tmp_path / "file" / "cache", "Not a directory"
    cache, y = RenderCache(folder), sound()
    with pytest.warns(RuntimeWarning, match=rf"cannot be written \({reason}\)") as caught:
        out = cache.render(Gain(3), y, SR)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert torch.equal(out, Gain(3).render(y, SR))
    assert torch.equal(cache.render(Gain(4), y, SR), Gain(4).render(y, SR))  # without a warning
    assert files(tmp_path) == ([] if fault == "write" else [tmp_path / "file"])


def test_a_cache_travels_to_other_processes(tmp_path: Path, computed: list[str]) -> None:
    cache, y = RenderCache(tmp_path), sound()
    cache.render(Gain(3), y, SR)
    pickle.loads(pickle.dumps(cache)).render(Gain(3), y, SR)
    assert len(computed) == 1


def test_what_cannot_be_a_cache_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ParameterError, match="file is a file, must be a folder"):
        RenderCache(tmp_path / "file")
    with pytest.raises(ParameterError, match="max_bytes is 0"):
        RenderCache(tmp_path, max_bytes=0)
    with pytest.raises(ParameterError, match=r"y has 0\.125 s"):
        RenderCache(tmp_path).render(Gain(3), sound(), SR, duration=1)
