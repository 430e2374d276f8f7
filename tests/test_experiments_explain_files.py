"""Explaining files: where the excerpts lie."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from otoscope.experiments import ExplainFiles, explain_files
from otoscope.models import load
from otoscope.signal import write_audio


def test_every_stops_where_the_last_whole_excerpt_begins(tmp_path: Path) -> None:
    """A frame needs more samples than it owns: the last excerpt begins before the end less one."""
    model = load("synth-singing")
    rate, excerpt = model.sample_rate, model.patch_frames * model.hop_length
    step = 2000 / rate
    y = 0.1 * torch.randn(excerpt + 4000, generator=torch.Generator().manual_seed(0))
    write_audio(tmp_path / "a.wav", y, sr=rate)
    settings = ExplainFiles(
        (tmp_path / "a.wav",), "synth-singing", every=step, segments="temporal:2"
    )
    explanations = [row.explanation for row in explain_files(settings)]
    starts = [e.patch.start for e in explanations if e]
    assert len(starts) == len(explanations) == 2  # a third would begin 4000 samples in: too late
    assert starts[1] - starts[0] == pytest.approx(step, abs=model.hop_length / rate)
