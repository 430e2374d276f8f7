"""Recipes of the page on own models that need other packages run, with stand-ins where they must.

torchaudio is not installed with a CPU build of torch everywhere: a module of its interface and its
formula takes its place.
"""

from __future__ import annotations

import re
import sys
import types
from typing import Any

import librosa
import pytest
import torch
from torch import Tensor, nn

from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "howto" / "own-model.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```py\n(.*?)^```", PAGE, re.M | re.S)


class MelSpectrogram(nn.Module):
    """Formula of torchaudio's: reflected ends, power 2, HTK's filters of unit height."""

    window: Tensor
    filters: Tensor

    def __init__(self, sample_rate: int, *, n_fft: int, hop_length: int, n_mels: int) -> None:
        super().__init__()
        self.sizes: Any = {"n_fft": n_fft, "hop_length": hop_length}
        filters = librosa.filters.mel(
            sr=sample_rate, n_fft=n_fft, n_mels=n_mels, htk=True, norm=None
        )
        self.register_buffer("filters", torch.from_numpy(filters))
        self.register_buffer("window", torch.hann_window(n_fft))

    def forward(self, y: Tensor) -> Tensor:
        D = torch.stft(y, **self.sizes, window=self.window, pad_mode="reflect", return_complex=True)
        return self.filters @ D.abs().square()  # [mel, frame]


class AmplitudeToDB(nn.Module):
    """Formula of torchaudio's: 10 log10, at most top_db below the largest."""

    def __init__(self, *, top_db: float) -> None:
        super().__init__()
        self.top_db = top_db

    def forward(self, x: Tensor) -> Tensor:
        level = 10 * x.clamp(min=1e-10).log10()
        return level.clamp(min=float(level.max()) - self.top_db)


def run(block: str) -> dict[str, Any]:
    scope: dict[str, Any] = {}
    exec(compile(block, "own-model.md", "exec"), scope)
    return scope


def test_torchaudio_and_its_built_in_twin_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = types.ModuleType("torchaudio")
    module.transforms = types.SimpleNamespace(
        MelSpectrogram=MelSpectrogram, AmplitudeToDB=AmplitudeToDB
    )
    monkeypatch.setitem(sys.modules, "torchaudio", module)
    torch.manual_seed(0)
    model, twin = run(BLOCKS[0])["model"], run(BLOCKS[1])["same"]
    y = 0.1 * torch.randn(16000)
    ours = twin.log_mel(y)
    assert model.patch_frames == 100
    torch.testing.assert_close(model.prepare(y), ours, rtol=0, atol=2e-3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("block", BLOCKS[2:], ids=["AST", "HuBERT"])
def test_transformers_are_explained(block: str) -> None:
    pytest.importorskip("transformers")
    torch.manual_seed(0)
    scope = run(block)
    if "explanation" in scope:
        assert len(scope["explanation"].keep) <= 60
        assert scope["explanation"].standard_error.isfinite().all()
        assert scope["model"].per_excerpt
