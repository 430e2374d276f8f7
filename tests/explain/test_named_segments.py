"""Segmentations by name: the spelling of the command line, in Python too."""

from __future__ import annotations

import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.explain import segments
from otoscope.explain.named_segments import resolve_segments


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
    assert resolve_segments(name) == meant


@pytest.mark.parametrize(
    "name", ["", "temporal", "temporal:", "temporal:ten", "temporal:6x4", "grid:6", "temporal:²"]
)
def test_other_names_are_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(ParameterError, match=f"segments is '{name}'; write temporal:10, spect"):
        resolve_segments(name)


def test_counts_are_checked_as_in_a_call() -> None:
    with pytest.raises(ParameterError, match="n_time is 0, must be >= 1"):
        resolve_segments("temporal:0")


def test_a_label_map_and_a_segmentation_will_do() -> None:
    assert str(resolve_segments(torch.tensor([[0, 1]]))) == "from_labels(2 segments)"
    cut = segments.temporal(3)
    assert resolve_segments(cut) is cut


@pytest.mark.parametrize("number", [10, None, 2.5])
def test_what_is_no_segmentation_is_refused_with_what_to_pass(number: object) -> None:
    with pytest.raises(ParameterError, match=rf"segments is {number}; give a name such as 'temp"):
        resolve_segments(number)  # type: ignore[arg-type]
