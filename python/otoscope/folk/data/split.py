"""Splits for training, validation and testing that keep near duplicates together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from otoscope.errors import ParameterError
from otoscope.folk.abc import NgramIndex, Tune
from otoscope.folk.abc.ngrams import Melody
from otoscope.seeds import numpy_generator

__all__ = ["SPLITS", "group_tunes", "halve_groups", "split_groups"]

SPLITS: Final = ("train", "valid", "test")


def group_tunes(tunes: Iterable[Tune | Melody], *, shared: float = 0.5) -> list[int]:
    """Group near duplicates, in any key: settings of one tune, and copies of a part of it.

    Parameters
    ----------
    tunes : iterable of Tune or Melody
        Tunes as written, or their melodies.
    shared : float
        Fraction, in (0, 1], of the interval 10-grams of a tune that another tune must contain for
        the two to be joined.

    Returns
    -------
    list of int
        Number of the group of each tune, from 0 in the order of their first tunes.

    Notes
    -----
    A tune that resembles any member joins the group (single linkage). A tune of fewer than eleven
    notes has no interval 10-gram and stays alone.

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


def halve_groups(groups: Sequence[int], seed: int = 0) -> tuple[list[int], list[int]]:
    """Deal whole groups into two halves at random.

    Parameters
    ----------
    groups : sequence of int
        Number of the group of each tune.
    seed : int
        Random seed of the order in which groups are dealt, at least 0.

    Returns
    -------
    two lists of int
        Places of the tunes of each half; the first is at least half, and has no group more than
        that takes.

    Examples
    --------
    >>> sorted(map(len, halve_groups([0, 0, 1, 1])))
    [2, 2]
    """
    members = defaultdict[int, list[int]](list)
    for place, group in enumerate(groups):
        members[group].append(place)
    order = numpy_generator(seed).permutation(len(groups)).tolist()
    halves: tuple[list[int], list[int]] = ([], [])
    for group in dict.fromkeys(groups[place] for place in order):
        halves[len(halves[0]) >= len(groups) // 2].extend(members[group])
    return halves


def split_groups(
    groups: Sequence[int], *, valid: float = 0.05, test: float = 0.05, seed: int = 0
) -> list[str]:
    """Hold out whole groups at random.

    Parameters
    ----------
    groups : sequence of int
        Number of the group of each tune.
    valid, test : float
        Fractions of the tunes to hold out, at least 0, with a sum below 1.
    seed : int
        Random seed of the order in which groups are drawn, at least 0.

    Returns
    -------
    list of str
        Split of each tune: "train", "valid" or "test". A split never exceeds its fraction; it is
        smaller if no remaining group fits in.

    Raises
    ------
    ParameterError
        If a fraction or the seed is out of range.

    Examples
    --------
    >>> split_groups([0, 0, 1, 2, 3], valid=0.2, test=0.4)
    ['test', 'test', 'train', 'valid', 'train']
    """
    if not (valid >= 0 and test >= 0 and valid + test < 1):
        raise ParameterError(
            f"valid is {valid:g} and test {test:g}; must be at least 0, with a sum below 1"
        )
    if seed < 0:
        raise ParameterError(f"seed is {seed}, must be at least 0")
    size = Counter(groups)
    rng = numpy_generator(seed)
    free = {"valid": round(valid * len(groups)), "test": round(test * len(groups))}
    split: dict[int, str] = {}
    for group in rng.permutation(list(size)).tolist():
        name = next((name for name in free if size[group] <= free[name]), "train")
        if name != "train":
            free[name] -= size[group]
        split[group] = name
    return [split[group] for group in groups]
