"""Explaining files: where the excerpts lie."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from otoscope.data import sample
from otoscope.explain import SoundLIME, content, segments
from otoscope.explain.design import DESIGNS
from otoscope.models import Timeline, load
from otoscope.report.sentences import cautions
from otoscope.signal import write_audio
from otoscope.workflows import ExplainConfig, explain_files, to_record
from otoscope.workflows.explain.config import checked
from otoscope.workflows.explain.excerpts import _column


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_files_are_explained_on_the_gpu() -> None:
    """Patches come on the model's device; they were left on the CPU once, and refused."""
    settings = ExplainConfig((sample().path,), "synth-singing", segments="temporal:4", start=1.0)
    (on_cpu,), (on_gpu,) = (
        [row.explanation for row in explain_files(replace(settings, device=device))]
        for device in ("cpu", "cuda")
    )
    assert on_cpu is not None
    assert on_gpu is not None
    torch.testing.assert_close(on_gpu.outputs, on_cpu.outputs, rtol=0, atol=1e-3)  # TF32 may be on


def test_every_stops_where_the_last_whole_excerpt_begins(tmp_path: Path) -> None:
    """A frame needs more samples than it owns: the last excerpt begins before the end less one."""
    model = load("synth-singing")
    rate, excerpt = model.sample_rate, model.patch_frames * model.hop_length
    step = 2000 / rate
    y = 0.1 * torch.randn(excerpt + 4000, generator=torch.Generator().manual_seed(0))
    write_audio(tmp_path / "a.wav", y, sr=rate)
    settings = ExplainConfig(
        (tmp_path / "a.wav",), "synth-singing", every=step, segments="temporal:2"
    )
    explanations = [row.explanation for row in explain_files(settings)]
    starts = [e.patch.start for e in explanations if e]
    assert len(starts) == len(explanations) == 2  # a third would begin 4000 samples in: too late
    assert starts[1] - starts[0] == pytest.approx(step, abs=model.hop_length / rate)


WARNING = """
import warnings
import otoscope

def make():
    model = otoscope.models.load("synth-singing")
    model.register_forward_hook(lambda *_: warnings.warn("the ear is worn"))
    return model
"""


def test_a_row_keeps_what_the_model_warns_of(tmp_path: Path) -> None:
    (tmp_path / "worn.py").write_text(WARNING)
    ours = ExplainConfig((sample().path,), f"{tmp_path / 'worn.py'}:make", segments="temporal:2")
    with pytest.warns(UserWarning, match="the ear is worn"):  # while the curve is made
        (row,) = explain_files(replace(ours, start=1.0))
    assert "the ear is worn" in row.warnings
    assert not any("effective" in warning for warning in row.warnings)  # `cautions` speak of those
    assert row.explanation is not None
    doubts = cautions(row.explanation)
    assert to_record(row, ours)["warnings"] == [*row.warnings, *doubts]


def test_the_description_of_a_setting_names_all_that_is_registered() -> None:
    """The command line's help is this docstring."""
    words = re.findall(r"[\w:-]+", ExplainConfig.__doc__ or "")
    named = {
        example.partition(":")[0]
        for examples in (content.CONTENTS.examples(), segments.SEGMENTATIONS.examples())
        for example in examples
    } - {"constant"}  # "a number"
    described = {word.partition(":")[0] for word in words}
    assert named | set(DESIGNS) <= described


def test_the_defaults_are_those_of_the_library() -> None:
    settings = ExplainConfig((), "synth-singing")
    chosen = (settings.segments, settings.content)
    assert chosen == (segments.DEFAULT_SEGMENTS, content.DEFAULT_CONTENT)
    assert settings.design is inspect.signature(SoundLIME).parameters["design"].default


def test_one_excerpt_is_of_one_file(tmp_path: Path) -> None:
    one = ExplainConfig((tmp_path / "a.wav",), "synth-singing")
    assert one.is_single
    assert not replace(one, every=1.0).is_single
    assert not replace(one, sounds=one.sounds * 2).is_single
    assert not replace(one, sounds=(tmp_path,)).is_single


def test_passes_are_coalitions_in_pairs() -> None:
    config = checked(ExplainConfig((), "synth-singing", passes=40))
    assert (config.design, config.n_samples) == ("paired", 40)


def test_the_output_to_explain_is_the_highest_of_the_file_or_at_its_start() -> None:
    model: Any = SimpleNamespace(output_names=("a", "b"))
    outputs = torch.tensor([[0.9, 0.1], [0.1, 0.5], [0.1, 0.6]])  # b is higher on average
    timeline = Timeline(torch.arange(3.0), outputs, 1.0)
    columns = [_column(model, None, timeline, start) for start in (None, 0.2, 1.8)]
    assert columns == [0, 0, 1]


def test_the_curve_of_outputs_has_the_times_of_the_excerpts() -> None:
    """The frames of a front end without centring begin later than their first sample."""
    ours = ExplainConfig((sample().path,), "synth-singing", segments="temporal:2", start=0.0)
    (row,) = explain_files(ours)
    assert row.explanation is not None
    assert row.times is not None
    assert row.outputs is not None
    patch = row.explanation.patch
    assert patch.duration is not None
    apart = (row.times - (patch.start + patch.duration / 2)).abs()
    assert float(apart.min()) < 1e-6
    assert float(row.outputs[int(apart.argmin())]) == pytest.approx(
        row.explanation.output_all, abs=1e-4
    )
