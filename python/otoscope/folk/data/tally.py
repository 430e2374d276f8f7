"""What a set of tunes holds: counted by source, reason, meter, mode, length and split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from otoscope.folk.data.prepared import PlacedTune
from otoscope.folk.data.prints import COLLECTIONS
from otoscope.folk.data.reading import RejectedTune
from otoscope.folk.data.split import SPLITS

__all__ = ["SourceTally", "SplitTally", "Tally", "tally"]


@dataclass(frozen=True)
class SourceTally:
    """What came of a source.

    Parameters
    ----------
    source, title : str
        As asked for, and the print's if it is one.
    found, kept : int
        Tunes in its files, and tunes that can be used.
    tokens : int
        Of the tunes kept, one copy each.

    Examples
    --------
    >>> SourceTally("ryan", "Ryan's", 1059, 965, 160000).found
    1059
    """

    source: str
    title: str
    found: int
    kept: int
    tokens: int


@dataclass(frozen=True)
class SplitTally:
    """What is in a split.

    Parameters
    ----------
    tunes, tokens, groups : int
        One copy of each tune is counted; groups are of near duplicates, or of one tune.

    Examples
    --------
    >>> SplitTally(211, 35000, 208).groups
    208
    """

    tunes: int
    tokens: int
    groups: int


@dataclass(frozen=True)
class Tally:
    """All counts.

    Parameters
    ----------
    sources : tuple of SourceTally
        In the order in which they were asked for.
    splits : dict of str to SplitTally
        "train", "valid", "test".
    reasons, meters, modes : dict of str to int
        Tunes; the most frequent first.
    lengths : tuple of int
        Tokens of each tune with its two boundaries, the shortest first.
    groups_of_several, largest_group, in_groups : int
        Groups of near duplicates, tunes in the largest of them, and tunes in all of them.
    vocabulary : int
        Different tokens, with the two boundaries.
    unseen : tuple of str
        Tokens that are in no tune of "train".

    Examples
    --------
    >>> tally([], [], []).sources
    ()
    """

    sources: tuple[SourceTally, ...]
    splits: dict[str, SplitTally]
    reasons: dict[str, int]
    meters: dict[str, int]
    modes: dict[str, int]
    lengths: tuple[int, ...]
    groups_of_several: int
    largest_group: int
    in_groups: int
    vocabulary: int
    unseen: tuple[str, ...]

    @property
    def found(self) -> int:
        """How many tunes the sources have."""
        return sum(one.found for one in self.sources)

    @property
    def kept(self) -> int:
        """How many tunes can be used."""
        return sum(one.kept for one in self.sources)

    @property
    def tokens(self) -> int:
        """Of all tunes kept, one copy each, without boundaries."""
        return sum(one.tokens for one in self.sources)

    def to_dict(self) -> dict[str, Any]:
        """Give the counts; of the lengths least, greatest, mean and three quantiles."""
        shares = {"min": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "max": 1.0}
        lengths = {name: self.length_at(share) for name, share in shares.items()}
        mean = sum(self.lengths) / max(len(self.lengths), 1)
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        totals = {"found": self.found, "kept": self.kept, "tokens": self.tokens}
        return {**totals, **plain, "lengths": {**lengths, "mean": mean}}

    def length_at(self, share: float) -> float:
        """Give a quantile of the lengths.

        Parameters
        ----------
        share : float
            Of the tunes that are not longer, in [0, 1].

        Returns
        -------
        float
            Tokens with boundaries; NaN without tunes.

        Examples
        --------
        >>> tally([], [], []).length_at(0.5)
        nan
        """
        return float(np.quantile(self.lengths, share)) if self.lengths else float("nan")


def tally(
    sources: Sequence[str], tunes: Sequence[PlacedTune], rejected: Sequence[RejectedTune]
) -> Tally:
    """Count.

    Parameters
    ----------
    sources : sequence of str
        As asked for.
    tunes : sequence of PlacedTune
        What can be used.
    rejected : sequence of RejectedTune
        What cannot.

    Returns
    -------
    Tally
        All counts.

    Examples
    --------
    >>> tally(["ryan"], [], []).kept
    0
    """
    groups = Counter(one.group for one in tunes)
    several = [size for size in groups.values() if size > 1]
    used = {split: _vocabulary(tunes, split) for split in SPLITS}
    return Tally(
        sources=tuple(_of_source(source, tunes, rejected) for source in sources),
        splits={split: _of_split([t for t in tunes if t.split == split]) for split in SPLITS},
        reasons=_frequent_first(one.reason for one in rejected),
        meters=_frequent_first(one.read.meter for one in tunes),
        modes=_frequent_first(one.read.mode for one in tunes),
        lengths=tuple(sorted(one.read.n_tokens + 2 for one in tunes)),
        groups_of_several=len(several),
        largest_group=max(groups.values(), default=0),
        in_groups=sum(several),
        vocabulary=len(set().union(*used.values())) + 2,
        unseen=tuple(sorted((used["valid"] | used["test"]) - used["train"])),
    )


def _of_source(
    source: str, tunes: Sequence[PlacedTune], rejected: Sequence[RejectedTune]
) -> SourceTally:
    kept = [one.read.n_tokens for one in tunes if one.read.origin.source == source]
    n_rejected = sum(one.origin.source == source and one.origin.number > 0 for one in rejected)
    title = COLLECTIONS.get(source, source)
    return SourceTally(source, title, len(kept) + n_rejected, len(kept), sum(kept))


def _of_split(tunes: Sequence[PlacedTune]) -> SplitTally:
    return SplitTally(
        len(tunes),
        sum(one.read.n_tokens for one in tunes),
        len({one.group for one in tunes}),
    )


def _vocabulary(tunes: Sequence[PlacedTune], split: str) -> set[str]:
    return {
        token for one in tunes if one.split == split for copy in one.read.copies for token in copy
    }


def _frequent_first(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())
