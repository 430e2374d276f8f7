"""Near duplicates stay together when some tunes are held out from training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from otoscope.errors import ParameterError
from otoscope.folk.abc import NgramIndex, Tune

__all__ = ["SPLITS", "group_tunes", "split_groups"]

SPLITS: Final = ("train", "valid", "test")


def group_tunes(tunes: Iterable[Tune], *, shared: float = 0.5) -> list[int]:
    """Join near duplicates, in any key: settings of one tune, and copies of a part of it.

    Parameters
    ----------
    tunes : iterable of Tune
        As written.
    shared : float
        Of a tune's runs of ten intervals, the share which another must have to be joined with it,
        in (0, 1].

    Returns
    -------
    list of int
        Of each tune its group; groups are counted from 0 in the order of their first tunes.

    Notes
    -----
    Who resembles any member joins the group. A tune of fewer than eleven notes has no such run and
    stays alone.

    Examples
    --------
    >>> from otoscope.folk.data.generate import generate_tune
    >>> group_tunes([generate_tune(0, i) for i in (0, 1, 0)])
    [0, 1, 0]
    """
    index = NgramIndex()
    n_tunes = 0
    for tune in tunes:
        index.add(str(n_tunes), tune)
        n_tunes += 1
    group_of = [0] * n_tunes
    members = sorted(sorted(map(int, names)) for names in index.groups(shared))
    for group, numbers in enumerate(members):
        for number in numbers:
            group_of[number] = group
    return group_of


def split_groups(
    groups: Sequence[int], *, valid: float = 0.05, test: float = 0.05, seed: int = 0
) -> list[str]:
    """Hold out whole groups, drawn at random.

    Parameters
    ----------
    groups : sequence of int
        Of each tune its group.
    valid, test : float
        Shares of the tunes to hold out, at least 0 and below 1 together.
    seed : int
        Of the order in which groups are drawn, at least 0.

    Returns
    -------
    list of str
        Of each tune "train", "valid" or "test". Never more are held out than asked for; fewer where
        what is left of a share is smaller than each group that is left.

    Raises
    ------
    ParameterError
        If a share or the seed is out of range.

    Examples
    --------
    >>> split_groups([0, 0, 1, 2, 3], valid=0.2, test=0.4)
    ['test', 'test', 'train', 'valid', 'train']
    """
    if not (valid >= 0 and test >= 0 and valid + test < 1):
        raise ParameterError(
            f"valid is {valid:g} and test {test:g}; must be at least 0 and below 1 together"
        )
    if seed < 0:
        raise ParameterError(f"seed is {seed}, must be at least 0")
    size = Counter(groups)
    room = {name: round(share * len(groups)) for name, share in (("valid", valid), ("test", test))}
    split: dict[int, str] = {}
    for group in np.random.default_rng(seed).permutation(list(size)).tolist():
        name = next((name for name in room if size[group] <= room[name]), "train")
        if name != "train":
            room[name] -= size[group]
        split[group] = name
    return [split[group] for group in groups]
