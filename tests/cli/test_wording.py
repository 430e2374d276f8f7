"""Errors on the command line speak of its options."""

from __future__ import annotations

import pytest

from otoscope.cli.wording import as_options

NAMES = {"design", "n_samples", "padded", "target", "segments"}


@pytest.mark.parametrize(
    ("python", "typed"),
    [
        ("draw: design='kernelshap', n_samples=500", "draw: --design kernelshap --n-samples 500"),
        ("; padded=True fills up", "; --padded fills up"),
        ("choose with target=", "choose with --target"),
        ("n_samples=-3 is too few", "--n-samples -3 is too few"),
        ("use segments='grid:6x4', or less", "use --segments grid:6x4, or less"),
        ("give Patch(domain=...)", "give Patch(domain=...)"),
        ("f(design=3, depth=2) failed", "f(design=3, depth=2) failed"),
        ("set model.output_names = [...]", "set model.output_names = [...]"),
    ],
)
def test_arguments_of_the_command_are_written_as_options(python: str, typed: str) -> None:
    assert as_options(python, NAMES) == typed
