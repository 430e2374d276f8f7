"""Counts of prepared tunes by source, reason of rejection, meter, mode, length and split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from otoscope.folk.data.collections import COLLECTIONS
from otoscope.folk.data.prepared import SplitTune
from otoscope.folk.data.sources import RejectedTune
from otoscope.folk.data.split import SPLITS

__all__ = ["SourceCounts", "SplitCounts", "TuneCounts", "count_tunes"]

_QUANTILES = {"min": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "max": 1.0}


@dataclass(frozen=True)
class SourceCounts:
    """Counts of one source.

    Parameters
    ----------
    source, title : str
        Source as the user named it, and the title of a printed collection.
    read, kept : int
        Number of tunes in the files, and number of tunes that can be used.
    tokens : int
        Number of tokens of the tunes kept, one copy of each.

    Examples
    --------
    >>> SourceCounts("ryan", "Ryan's", 1059, 965, 160000).read
    1059
    """

    source: str
    title: str
    read: int
    kept: int
    tokens: int


@dataclass(frozen=True)
class SplitCounts:
    """Counts of one split.

    Parameters
    ----------
    tunes, tokens, groups : int
        Numbers of tunes, of tokens (one copy of each tune), and of groups of near duplicates; a
        tune without near duplicates is a group.

    Examples
    --------
    >>> SplitCounts(211, 35000, 208).groups
    208
    """

    tunes: int
    tokens: int
    groups: int


@dataclass(frozen=True)
class TuneCounts:
    """Counts of all tunes.

    Parameters
    ----------
    sources : tuple of SourceCounts
        Sources in the order in which the user named them.
    splits : dict of str to SplitCounts
        "train", "valid", "test".
    reasons, meters, modes : dict of str to int
        Numbers of tunes, the most frequent first.
    lengths : tuple of int
        Number of tokens of each tune with its two boundaries, in ascending order.
    groups_of_several, largest_group, in_groups : int
        Number of groups of near duplicates, tunes in the largest group, tunes in all groups.
    vocabulary : int
        Number of different tokens, with the two boundaries.
    unseen : tuple of str
        Tokens that are in no tune of "train".

    Examples
    --------
    >>> count_tunes([], [], []).sources
    ()
    """

    sources: tuple[SourceCounts, ...]
    splits: dict[str, SplitCounts]
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
    def read(self) -> int:
        """Number of tunes in the sources."""
        return sum(source.read for source in self.sources)

    @property
    def kept(self) -> int:
        """Number of tunes that can be used."""
        return sum(source.kept for source in self.sources)

    @property
    def tokens(self) -> int:
        """Number of tokens of the tunes kept, one copy of each, without boundaries."""
        return sum(source.tokens for source in self.sources)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts, and quantiles and mean of the lengths."""
        lengths = {name: self.length_quantile(q) for name, q in _QUANTILES.items()}
        lengths["mean"] = sum(self.lengths) / max(len(self.lengths), 1)
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        totals = {"read": self.read, "kept": self.kept, "tokens": self.tokens}
        return {**totals, **content, "lengths": lengths}

    def length_quantile(self, q: float) -> float:
        """Return a quantile of the lengths.

        Parameters
        ----------
        q : float
            Fraction of the tunes that are not longer, in [0, 1].

        Returns
        -------
        float
            Number of tokens with boundaries; NaN without tunes.

        Examples
        --------
        >>> count_tunes([], [], []).length_quantile(0.5)
        nan
        """
        return float(np.quantile(self.lengths, q)) if self.lengths else float("nan")


def count_tunes(
    sources: Sequence[str], tunes: Sequence[SplitTune], rejected: Sequence[RejectedTune]
) -> TuneCounts:
    """Count tunes.

    Parameters
    ----------
    sources : sequence of str
        Sources as the user named them.
    tunes : sequence of SplitTune
        Tunes that can be used.
    rejected : sequence of RejectedTune
        Tunes that cannot be used.

    Returns
    -------
    TuneCounts
        All counts.

    Examples
    --------
    >>> count_tunes(["ryan"], [], []).kept
    0
    """
    groups = Counter(tune.group for tune in tunes)
    several = [size for size in groups.values() if size > 1]
    used = {split: _vocabulary(tunes, split) for split in SPLITS}
    return TuneCounts(
        sources=tuple(_source_counts(source, tunes, rejected) for source in sources),
        splits={split: _split_counts([t for t in tunes if t.split == split]) for split in SPLITS},
        reasons=_frequent_first(tune.reason for tune in rejected),
        meters=_frequent_first(tune.tokenised.meter for tune in tunes),
        modes=_frequent_first(tune.tokenised.mode for tune in tunes),
        lengths=tuple(sorted(tune.tokenised.n_tokens + 2 for tune in tunes)),
        groups_of_several=len(several),
        largest_group=max(groups.values(), default=0),
        in_groups=sum(several),
        vocabulary=len(set().union(*used.values())) + 2,
        unseen=tuple(sorted((used["valid"] | used["test"]) - used["train"])),
    )


def _source_counts(
    source: str, tunes: Sequence[SplitTune], rejected: Sequence[RejectedTune]
) -> SourceCounts:
    kept = [t.tokenised.n_tokens for t in tunes if t.tokenised.origin.source == source]
    n_rejected = sum(t.origin.source == source and t.origin.number > 0 for t in rejected)
    title = COLLECTIONS.get(source, source)
    return SourceCounts(source, title, len(kept) + n_rejected, len(kept), sum(kept))


def _split_counts(tunes: Sequence[SplitTune]) -> SplitCounts:
    n_tokens = sum(tune.tokenised.n_tokens for tune in tunes)
    return SplitCounts(len(tunes), n_tokens, len({tune.group for tune in tunes}))


def _vocabulary(tunes: Sequence[SplitTune], split: str) -> set[str]:
    copies = (copy for tune in tunes if tune.split == split for copy in tune.tokenised.copies)
    return {token for copy in copies for token in copy}


def _frequent_first(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())
