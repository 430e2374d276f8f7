"""Targets: which of a model's outputs are explained."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TypeAlias

from otoscope.errors import ParameterError

__all__ = ["Target", "choose_targets"]

Target: TypeAlias = "str | int | Sequence[str | int] | None"


def choose_targets(
    target: Target, n_outputs: int, output_names: Sequence[str] | None = None
) -> dict[str, int]:
    """Find the outputs that a user means.

    Parameters
    ----------
    target : str, int, sequence of these, or None
        Names, or indices from 0; None means the only output.
    n_outputs : int
        How many the model has.
    output_names : sequence of str, optional
        What it calls them; else "output 0" and so on.

    Returns
    -------
    dict of str to int
        Name and column of each target, in the order asked for.

    Raises
    ------
    ParameterError
        If a target is unknown (names the nearest), or None and there are several.

    Examples
    --------
    >>> choose_targets("speech", 2, ["singing", "speech"])
    {'speech': 1}
    """
    names = list(output_names or [f"output {i}" for i in range(n_outputs)])
    if len(names) != n_outputs:
        raise ParameterError(f"the model names {len(names)} outputs and returns {n_outputs}")
    if target is None and n_outputs != 1:
        raise ParameterError(
            f"the model has {n_outputs} outputs ({_some(names)}); choose with target="
        )
    wanted: Sequence[object] = [0 if target is None else target]
    if isinstance(target, Sequence) and not isinstance(target, str):
        wanted = target
    if not wanted:
        raise ParameterError("target is an empty list; name at least one output")
    naming = "" if output_names else "; to name them set model.output_names = [...]"
    columns = [_column(one, names, naming) for one in wanted]
    return {names[column]: column for column in columns}


def _column(target: object, names: list[str], naming: str) -> int:
    if not isinstance(target, str | int):
        raise ParameterError(f"target is {target!r}; give an output's name or index, or a list")
    if isinstance(target, int):
        if not 0 <= target < len(names):
            raise ParameterError(f"target is {target}, must be in 0..{len(names) - 1}")
        return target
    if target not in names:
        near = get_close_matches(target, names, n=3, cutoff=0.4)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else f": {_some(names)}"
        raise ParameterError(f"target is {target!r}, the model has no such output{hint}{naming}")
    return names.index(target)


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
