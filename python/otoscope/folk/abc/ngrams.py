"""Index of melodies by their interval n-grams, which finds copies in any key.

A tune's n-grams are all runs of n successive intervals, in semitones, of its melody as written.
Containment of a tune in another is the fraction of its n-grams that the other has too: 1 for a
copy, near 0 for unrelated tunes.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from dataclasses import dataclass
from difflib import SequenceMatcher
from heapq import nsmallest

from otoscope.errors import ParameterError
from otoscope.folk.abc.tune import Tune

__all__ = ["Melody", "Neighbour", "NgramIndex"]


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


@dataclass(frozen=True, slots=True)
class Melody:
    """Melody of a tune as the index keeps it: without notes, so that it takes 100,000 tunes."""

    places: array[int]  # line and column of each note, in turn
    intervals: bytes

    @classmethod
    def of(cls, tune: Tune | Melody) -> Melody:
        """Return the melody of a tune; a melody itself."""
        if isinstance(tune, Melody):
            return tune
        places = array("I", [x for note in tune.sounding_melody for x in (note.line, note.column)])
        return cls(places, bytes(interval % 256 for interval in tune.intervals))

    def grams(self, n: int) -> set[bytes]:
        """Return the different runs of n intervals."""
        return {self.intervals[end - n : end] for end in range(n, len(self.intervals) + 1)}

    def place(self, note: int) -> tuple[int, int]:
        """Return line and column of a note."""
        return self.places[2 * note], self.places[2 * note + 1]


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
        self._names: list[str] = []
        self._known = set[str]()
        self._melodies: list[Melody] = []
        self._holders: dict[bytes, int | list[int]] = {}  # most runs have one holder

    def __len__(self) -> int:
        return len(self._melodies)

    def add(self, name: str, tune: Tune | Melody) -> None:
        """Add a tune.

        Parameters
        ----------
        name : str
            Name in the index.
        tune : Tune or Melody
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
        if name in self._known:
            raise ParameterError(f"name {name!r} is in the index, needs another")
        melody, number = Melody.of(tune), len(self)
        self._known.add(name)
        self._names.append(name)
        self._melodies.append(melody)
        for gram in melody.grams(self.n):
            holders = self._holders.setdefault(gram, number)
            if isinstance(holders, list):
                holders.append(number)
            elif holders != number:
                self._holders[gram] = [holders, number]

    def nearest(self, tune: Tune | Melody, k: int = 5) -> list[Neighbour]:
        """Return the tunes that contain most of a query.

        Parameters
        ----------
        tune : Tune or Melody
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
        melody = Melody.of(tune)
        grams = melody.grams(self.n)
        shared = nsmallest(k, self._shared(grams).items(), key=lambda item: (-item[1], item[0]))
        return [
            _neighbour(self._names[number], melody, self._melodies[number], count / len(grams))
            for number, count in shared
        ]

    def containment(self, tune: Tune | Melody) -> dict[str, float]:
        """Return how much of a query each tune of the index contains.

        Parameters
        ----------
        tune : Tune or Melody
            Query.

        Returns
        -------
        dict of str to float
            Containment, in (0, 1], by the names of the tunes with a common n-gram.

        Examples
        --------
        >>> from otoscope.folk.abc import parse_tune
        >>> index = NgramIndex(2)
        >>> index.add("scale", parse_tune("K:C\\nCDEF|"))
        >>> index.containment(parse_tune("K:G\\nGABG|"))
        {'scale': 0.5}
        """
        grams = Melody.of(tune).grams(self.n)
        return {self._names[i]: n / len(grams) for i, n in self._shared(grams).items()}

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
            grams = melody.grams(self.n)
            for other, count in self._shared(grams).items():
                # the containment of the other in this melody is computed at the other's turn
                if count >= threshold * len(grams):
                    parent[root(number)] = root(other)
        groups: defaultdict[int, list[str]] = defaultdict(list)
        for number, name in enumerate(self._names):
            groups[root(number)].append(name)
        return list(groups.values())

    def _shared(self, grams: set[bytes]) -> Counter[int]:
        """Count the n-grams shared with each tune of the index."""
        shared: Counter[int] = Counter()
        for gram in grams:
            holders = self._holders.get(gram, ())
            shared.update((holders,) if isinstance(holders, int) else holders)
        return shared


def _neighbour(name: str, query: Melody, other: Melody, containment: float) -> Neighbour:
    matcher = SequenceMatcher(None, query.intervals, other.intervals, autojunk=False)
    run = matcher.find_longest_match()
    ours, theirs = query.place(run.a), other.place(run.b)
    return Neighbour(name, containment, run.size + 1, *ours, *theirs)
