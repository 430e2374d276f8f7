"""Index of melodies by their interval n-grams, which finds copies in any key.

A tune's n-grams are all runs of n successive intervals, in semitones, of its melody as written.
Containment of a tune in another is the fraction of its n-grams that the other has too: 1 for a
copy, near 0 for unrelated tunes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from difflib import SequenceMatcher

from otoscope.errors import ParameterError
from otoscope.folk.abc.tune import MidiNote, Tune

__all__ = ["Neighbour", "NgramIndex"]


@dataclass(frozen=True)
class Neighbour:
    """A tune of the index that shares n-grams with a query.

    Parameters
    ----------
    name : str
        Name in the index.
    containment : float
        Fraction of the query's n-grams that the tune has, in [0, 1].
    notes : int
        Length of the longest run of notes in common.
    line, column : int
        Place in the query where that run begins.
    their_line, their_column : int
        Place in the tune where that run begins.

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
    """Index of melodies by their interval n-grams.

    Parameters
    ----------
    n : int, default 10
        Number of intervals in an n-gram, at least 1.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> index = NgramIndex(n=3)
    >>> index.add("scale", parse_tune("K:C\\nCDEFGABc|"))
    >>> neighbour = index.nearest(parse_tune("K:G\\nDGABcdD|"))[0]
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
        """Add a tune.

        Parameters
        ----------
        name : str
            Name in the index.
        tune : Tune
            Tune in any key; a tune with fewer than n intervals has no n-grams and matches none.

        Raises
        ------
        ParameterError
            If the index has a tune of that name.

        Examples
        --------
        >>> from otoscope.folk.abc import parse_tune
        >>> index = NgramIndex(2)
        >>> index.add("scale", parse_tune("K:C\\nCDEF|"))
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
        """Return the tunes that contain most of a query.

        Parameters
        ----------
        tune : Tune
            Query; if it is in the index, it is its own nearest neighbour.
        k : int, default 5
            Maximum number of neighbours.

        Returns
        -------
        list of Neighbour
            Tunes with a common n-gram, highest containment first.

        Examples
        --------
        >>> from otoscope.folk.abc import parse_tune
        >>> index = NgramIndex(2)
        >>> index.add("scale", parse_tune("K:C\\nCDEF|"))
        >>> [neighbour.name for neighbour in index.nearest(parse_tune("K:G\\nGABc|"))]
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
        """Group near duplicates.

        Parameters
        ----------
        threshold : float, default 0.5
            Containment, in (0, 1], of either tune in the other from which two tunes are in one
            group; chains of such pairs are in one group too.

        Returns
        -------
        list of (list of str)
            Groups of names, each name in one group, in the order of adding.

        Raises
        ------
        ParameterError
            If the threshold is out of range.

        Examples
        --------
        >>> from otoscope.folk.abc import parse_tune
        >>> index = NgramIndex(2)
        >>> index.add("in C", parse_tune("K:C\\nCDEF|"))
        >>> index.add("in D", parse_tune("K:D\\nDEFG|"))
        >>> index.groups()
        [['in C', 'in D']]
        """
        if not 0 < threshold <= 1:
            raise ParameterError(f"threshold is {threshold}, needs to be in (0, 1]")
        parent = list(range(len(self)))

        def root(number: int) -> int:
            while parent[number] != number:
                parent[number] = number = parent[parent[number]]
            return number

        for number, melody in enumerate(self._melodies):
            for other, count in self._shared(melody).items():
                # the containment of the other in this melody is computed at the other's turn
                if count >= threshold * len(melody.grams):
                    parent[root(number)] = root(other)
        groups: defaultdict[int, list[str]] = defaultdict(list)
        for name, number in self._names.items():
            groups[root(number)].append(name)
        return list(groups.values())

    def _melody(self, tune: Tune) -> _Melody:
        notes = tune.melody
        intervals = bytes(interval % 256 for interval in tune.intervals)
        ends = range(self.n, len(intervals) + 1)
        return _Melody(notes, intervals, frozenset(intervals[end - self.n : end] for end in ends))

    def _shared(self, melody: _Melody) -> Counter[int]:
        """Count the n-grams shared with each tune of the index."""
        shared: Counter[int] = Counter()
        for gram in melody.grams:
            shared.update(self._holders.get(gram, ()))
        return shared

    def _neighbour(self, name: str, query: _Melody, other: _Melody, count: int) -> Neighbour:
        matcher = SequenceMatcher(None, query.intervals, other.intervals, autojunk=False)
        run = matcher.find_longest_match()
        ours, theirs = query.notes[run.a], other.notes[run.b]
        return Neighbour(
            name,
            count / len(query.grams),
            run.size + 1,
            ours.line,
            ours.column,
            theirs.line,
            theirs.column,
        )
