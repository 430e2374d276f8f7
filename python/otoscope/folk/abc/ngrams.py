"""An index of melodies by their interval n-grams: copies are found in whatever key they are.

A tune's n-grams are all runs of n successive intervals, in semitones, of its melody as written.
Containment of a tune in another is the share of its n-grams that the other has as well: 1 for a
copy, near 0 for unrelated tunes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from difflib import SequenceMatcher

from otoscope.errors import ParameterError
from otoscope.folk.abc.sounding import MidiNote
from otoscope.folk.abc.tune import Tune

__all__ = ["Neighbour", "NgramIndex"]


@dataclass(frozen=True)
class Neighbour:
    """A tune that shares n-grams with the one asked for.

    Parameters
    ----------
    name : str
        Its name in the index.
    containment : float
        Share of the asked tune's n-grams that it has, in [0, 1].
    notes : int
        Length of the longest run of notes in common.
    line, column : int
        Where that run begins in the asked tune.
    their_line, their_column : int
        Where it begins in this one.

    Examples
    --------
    >>> Neighbour("The Scale", 0.5, 12, 1, 1, 3, 1).containment
    0.5
    """

    name: str
    containment: float
    notes: int
    line: int
    column: int
    their_line: int
    their_column: int


@dataclass(frozen=True)
class _Melody:
    notes: tuple[MidiNote, ...]
    intervals: bytes
    grams: frozenset[bytes]


class NgramIndex:
    """Melodies by their interval n-grams.

    Parameters
    ----------
    n : int
        Intervals in an n-gram, at least 1. The paper's check of plagiarism takes 10.

    Examples
    --------
    >>> index = NgramIndex(n=3)
    >>> index.add("scale", Tune.from_abc("K:C\\nCDEFGABc|"))
    >>> neighbour = index.nearest(Tune.from_abc("K:G\\nDGABcdD|"))[0]
    >>> neighbour.name, neighbour.containment, neighbour.notes
    ('scale', 0.5, 5)
    """

    def __init__(self, n: int = 10) -> None:
        if n < 1:
            raise ParameterError(f"n is {n}, needs to be at least 1")
        self.n = n
        self._names: dict[str, int] = {}
        self._melodies: list[_Melody] = []
        self._holders: defaultdict[bytes, list[int]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._melodies)

    def add(self, name: str, tune: Tune) -> None:
        """Take in a tune.

        Parameters
        ----------
        name : str
            What the index calls it.
        tune : Tune
            In any key; one without n intervals has no n-grams and is found by none.

        Raises
        ------
        ParameterError
            If a tune of that name is there.

        Examples
        --------
        >>> index = NgramIndex(2)
        >>> index.add("scale", Tune.from_abc("K:C\\nCDEF|"))
        >>> len(index)
        1
        """
        if name in self._names:
            raise ParameterError(f"name {name!r} is in the index, needs another")
        melody = self._melody(tune)
        number = self._names[name] = len(self._melodies)
        self._melodies.append(melody)
        for gram in melody.grams:
            self._holders[gram].append(number)

    def nearest(self, tune: Tune, k: int = 5) -> list[Neighbour]:
        """Return the tunes that contain most of this one, most first.

        Parameters
        ----------
        tune : Tune
            If it is in the index itself, it is its own nearest.
        k : int
            How many at most.

        Returns
        -------
        list of Neighbour
            Only tunes with a common n-gram.

        Examples
        --------
        >>> index = NgramIndex(2)
        >>> index.add("scale", Tune.from_abc("K:C\\nCDEF|"))
        >>> [neighbour.name for neighbour in index.nearest(Tune.from_abc("K:G\\nGABc|"))]
        ['scale']
        """
        melody = self._melody(tune)
        names = list(self._names)
        shared = sorted(self._shared(melody).items(), key=lambda item: (-item[1], item[0]))
        return [
            self._neighbour(names[number], melody, self._melodies[number], count)
            for number, count in shared[:k]
        ]

    def groups(self, threshold: float = 0.5) -> list[list[str]]:
        """Return groups of near duplicates.

        Parameters
        ----------
        threshold : float
            Two tunes are in one group if the containment of either in the other reaches it, in
            (0, 1]; so are tunes that a chain of such pairs joins.

        Returns
        -------
        list of (list of str)
            Every name in one group, in the order of adding.

        Raises
        ------
        ParameterError
            If the threshold is out of range.

        Examples
        --------
        >>> index = NgramIndex(2)
        >>> index.add("in C", Tune.from_abc("K:C\\nCDEF|"))
        >>> index.add("in D", Tune.from_abc("K:D\\nDEFG|"))
        >>> index.groups()
        [['in C', 'in D']]
        """
        if not 0 < threshold <= 1:
            raise ParameterError(f"threshold is {threshold}, needs to be in (0, 1]")
        parent = list(range(len(self)))

        def _root(number: int) -> int:
            while parent[number] != number:
                parent[number] = number = parent[parent[number]]
            return number

        for number, melody in enumerate(self._melodies):
            for other, count in self._shared(melody).items():
                # the containment of the other in this one is seen from the other's side
                if count >= threshold * len(melody.grams):
                    parent[_root(number)] = _root(other)
        groups: defaultdict[int, list[str]] = defaultdict(list)
        for name, number in self._names.items():
            groups[_root(number)].append(name)
        return list(groups.values())

    def _melody(self, tune: Tune) -> _Melody:
        notes = tune.melody
        intervals = bytes(interval % 256 for interval in tune.intervals)
        ends = range(self.n, len(intervals) + 1)
        return _Melody(notes, intervals, frozenset(intervals[end - self.n : end] for end in ends))

    def _shared(self, melody: _Melody) -> Counter[int]:
        """Count the n-grams shared with each tune."""
        shared: Counter[int] = Counter()
        for gram in melody.grams:
            shared.update(self._holders.get(gram, ()))
        return shared

    def _neighbour(self, name: str, asked: _Melody, other: _Melody, count: int) -> Neighbour:
        matcher = SequenceMatcher(None, asked.intervals, other.intervals, autojunk=False)
        run = matcher.find_longest_match()
        ours, theirs = asked.notes[run.a], other.notes[run.b]
        return Neighbour(
            name,
            count / len(asked.grams),
            run.size + 1,
            ours.line,
            ours.column,
            theirs.line,
            theirs.column,
        )
