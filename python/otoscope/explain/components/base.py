"""Base of the components: parts of a sound that add up to it, joined by ``|`` and crossed by ``*``.

Whatever is linear in the sound (windows in time, masks of a spectrum) splits the content that
replaces a part in the same way, so that all parts replaced add up to the content.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.explain.registry import Registry

__all__ = ["COMPONENTS", "SOURCE", "Components", "Excerpt", "Part", "resolve"]

Kind = Literal["source", "band", "time"]


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a sound beside its replacement, and where it lies."""

    kept: Tensor  # [..., sample], float64, of the samples from `first`
    replaced: Tensor  # like `kept`
    first: int = 0
    labels: tuple[tuple[Kind, str], ...] = ()
    seconds: tuple[float, float] | None = None  # within the excerpt; None: all of it
    hz: tuple[float, float] | None = None  # None: all of it
    share: float = 1.0  # of the contents that are not made of the source

    @property
    def is_source(self) -> bool:
        """Whether it shares its time and its frequencies with other parts."""
        return any(kind == "source" for kind, _ in self.labels)


@dataclass(frozen=True, eq=False)
class Excerpt:
    """A sound to be split, [..., sample] in float64, and the content that replaces its parts.

    ``replace(source, name, share)`` makes the content of a source that is replaced by itself; the
    shares of all sources add up to 1.
    """

    y: Tensor
    sr: float | None
    replace: Callable[[Tensor, str, float], Tensor]
    start: float = 0.0  # second of the recording

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return int(self.y.shape[-1])

    @property
    def whole(self) -> Part:
        """The sound as one part."""
        return Part(self.y, self.replace(self.y, "", 1.0))

    def rate(self, name: str) -> float:
        """Return the sampling rate, which the components of this name need."""
        if self.sr is None:
            raise ParameterError(
                f"components {name} need the sampling rate of the sound; give (y, sr)"
            )
        return self.sr


class Components(ABC):
    """Parts of a sound to rank.

    ``a | b`` joins two lists, ``a * b`` crosses them (each part of one is split by the other), and
    ``a[2]`` or ``a[:3]`` selects from a list. Together the parts must add up to the sound.

    Examples
    --------
    >>> from otoscope.explain import components
    >>> cut = components.bands(4)[0] | components.bands(4)[1:] * components.time(5)
    >>> str(cut)
    'bands(4)[0] | bands(4)[1:] * time(5)'
    """

    rank = 2
    """Order of crossing: sources (0, 1) first, then bands (2), then time (3)."""

    @abstractmethod
    def split(self, part: Part, excerpt: Excerpt) -> list[Part]:
        """Split one part of an excerpt."""

    def __or__(self, other: Components) -> Components:
        """Join two lists."""
        return _Join(self, _checked(other, "|"))

    def __mul__(self, other: Components) -> Components:
        """Split each part of one list by the other."""
        return _Product(self, _checked(other, "*"))

    def __getitem__(self, index: int | slice) -> Components:
        """Select from the list."""
        return _Selection(self, index)


@dataclass(frozen=True)
class _Join(Components):
    left: Components
    right: Components

    @property
    def rank(self) -> int:  # type: ignore[override]
        """Order of crossing: that of the earlier list."""
        return min(self.left.rank, self.right.rank)

    def split(self, part: Part, excerpt: Excerpt) -> list[Part]:
        """Split by both; a rest is made of what the others leave."""
        lists = [self.left.split(part, excerpt), self.right.split(part, excerpt)]
        return [*lists[0], *lists[1]]

    def __str__(self) -> str:
        return f"{self.left} | {self.right}"


@dataclass(frozen=True)
class _Product(Components):
    left: Components
    right: Components

    @property
    def rank(self) -> int:  # type: ignore[override]
        """Order of crossing: that of the earlier list."""
        return min(self.left.rank, self.right.rank)

    def split(self, part: Part, excerpt: Excerpt) -> list[Part]:
        """Split by the list of lower rank, then by the other; the order is that of the text."""
        if self.left.rank <= self.right.rank:
            parts = self.left.split(part, excerpt)
            return [inner for outer in parts for inner in self.right.split(outer, excerpt)]
        n, rows = len(part.labels), []
        for outer in self.right.split(part, excerpt):
            m = len(outer.labels)
            rows.append(
                [
                    replace(inner, labels=inner.labels[:n] + inner.labels[m:] + inner.labels[n:m])
                    for inner in self.left.split(outer, excerpt)
                ]
            )
        return [row[i] for i in range(len(rows[0])) for row in rows]

    def __str__(self) -> str:
        return " * ".join(
            f"({side})" if isinstance(side, _Join) else str(side)
            for side in (self.left, self.right)
        )


@dataclass(frozen=True)
class _Selection(Components):
    of: Components
    index: int | slice

    @property
    def rank(self) -> int:  # type: ignore[override]
        """Order of crossing: that of the list."""
        return self.of.rank

    def split(self, part: Part, excerpt: Excerpt) -> list[Part]:
        """Split, and select from the parts."""
        parts = self.of.split(part, excerpt)
        if isinstance(self.index, slice):
            return parts[self.index]
        if not -len(parts) <= self.index < len(parts):
            raise ParameterError(f"components {self} select one of {len(parts)} parts")
        return [parts[self.index]]

    def __str__(self) -> str:
        of = f"({self.of})" if isinstance(self.of, _Join | _Product) else str(self.of)
        if not isinstance(self.index, slice):
            return f"{of}[{self.index}]"
        ends = (self.index.start, self.index.stop)
        text = ":".join("" if end is None else str(end) for end in ends)
        return f"{of}[{text}{'' if self.index.step is None else f':{self.index.step}'}]"


SOURCE = "source"
"""Name of a user's stems in text."""

COMPONENTS: Registry[Components] = Registry("components")
"""All components by name; the resolver, the command line and the tests read it."""


def resolve(components: Components | str, *, stems: Components | None = None) -> Components:
    """Make the components that a user names.

    Parameters
    ----------
    components : Components or str
        Components, or their text: names with numbers, crossed by ``*`` and joined by ``|``, as in
        "hpss * time:5" or "bands:4".
    stems : Components, optional
        What the name "source" stands for, see `components.stems`.

    Returns
    -------
    Components
        Components to split a sound.

    Raises
    ------
    ParameterError
        If a name is unknown or its numbers are wrong, or "source" comes without stems.

    Examples
    --------
    >>> str(resolve("time:5 * bands:4"))
    'time(5) * bands(4)'
    """
    if isinstance(components, Components):
        return components
    if not isinstance(components, str):
        raise ParameterError(
            f"components is {components!r}; give oto.components.time(10), a text such as "
            "'hpss * time:5', or several, joined by |"
        )
    joined: list[Components] = []
    for listed in components.split("|"):
        crossed = [_named(text.strip(), components, stems) for text in listed.split("*")]
        product = crossed[0]
        for factor in crossed[1:]:
            product = product * factor
        joined.append(product)
    result = joined[0]
    for more in joined[1:]:
        result = result | more
    return result


_SELECTED = re.compile(r"(.+?)\[(-?\d+)?(?:(:)(-?\d+)?)?\]")


def _named(text: str, whole: str, stems: Components | None) -> Components:
    if selected := _SELECTED.fullmatch(text):
        of, first, colon, end = selected.groups()
        bounds = [None if number is None else int(number) for number in (first, end)]
        if colon:
            return _named(of, whole, stems)[slice(*bounds)]
        if bounds[0] is not None:
            return _named(of, whole, stems)[bounds[0]]
    if text == SOURCE:
        if stems is None:
            raise ParameterError(
                f"components is {whole!r}; {SOURCE} stands for stems, and there are none",
                advice=Advice("give ", Argument("stems"), ": a folder or files"),
            )
        return stems
    made = COMPONENTS.make(text)
    if made is None:
        raise ParameterError(
            f"components is {whole!r}; {text!r} is none of {COMPONENTS.choices()}, "
            f"nor {SOURCE}, which stands for stems; * crosses and | joins them"
        )
    return made


def _checked(other: object, operator: str) -> Components:
    if not isinstance(other, Components):
        raise ParameterError(
            f"{operator} stands between components and {other!r}; both must be components"
        )
    return other
