"""The pixels of every picture: low tones at the bottom, the beginning on the left."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from otoscope.protocols import Patch
from otoscope.report import save_adversary, save_html, save_maximisation
from otoscope.report.maximisation import Specimen
from tests.report.test_adversary import FOUND
from tests.report.test_maximisation import SUMMARY, ranking
from tests.support.reports import BANDS, FRAMES, HOP, SR, explain

LOW, EARLY = slice(0, BANDS // 4), slice(0, FRAMES // 2)


def early_low_tone() -> Patch:
    """Make an excerpt that is loud in its lowest bands, in its first half."""
    values = torch.zeros(FRAMES, BANDS)
    values[EARLY, LOW] = 1.0
    time = torch.arange(FRAMES * HOP) / SR
    y = 0.5 * torch.sin(2 * torch.pi * 500 * time) * (time < time[-1] / 2)
    mel_hz = torch.linspace(100, 7000, BANDS)
    return Patch(values, y=y, sr=SR, hop_length=HOP, mel_hz=mel_hz)


def explanation_page(path: Path) -> None:
    save_html(explain({2: 0.5, 3: 0.2}, of=early_low_tone()), path)


def adversary_page(path: Path) -> None:
    y = early_low_tone().y
    assert y is not None
    save_adversary(FOUND, path, (y, 1.01 * y))


def maximisation_page(path: Path) -> None:
    specimens = [Specimen("Best", early_low_tone(), 1.0, "rate 0.01")]
    save_maximisation(ranking(), path, summary=SUMMARY, made=specimens, real=specimens)


@pytest.mark.parametrize(
    ("write", "n_pictures"),
    [(explanation_page, 1), (adversary_page, 3), (maximisation_page, 2)],
)
def test_low_tones_are_at_the_bottom_and_the_beginning_is_left(
    write: Callable[[Path], None], n_pictures: int, tmp_path: Path
) -> None:
    write(tmp_path / "page.html")
    codes = re.findall(r"data:image/png;base64,([\w+/=]+)", (tmp_path / "page.html").read_text())
    assert len(codes) == n_pictures
    for code in codes[: 2 if write is adversary_page else None]:  # the difference is faint
        from PIL import Image

        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(code))).convert("L"))
        height, width = pixels.shape
        loud = pixels > pixels.max() / 2
        assert loud[3 * height // 4 :, : width // 2].sum() > 0.85 * loud.sum() > 0
