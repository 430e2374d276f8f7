"""What is found in a tune: a rule that it breaks, where, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["RULES", "Finding"]

RULES: Final = {
    "parse": "can be read",
    "bars": "bars add up",
    "repeats": "repeats and endings match",
    "parts": "AABB, eight bars each",
    "range": "within the range",
    "tonic": "ends on the tonic",
    "cadence": "cadence from 2, 3, 5, 7",
    "accidentals": "few accidentals",
    "finished": "not broken off",
}


@dataclass(frozen=True)
class Finding:
    """A rule that a tune breaks.

    Parameters
    ----------
    rule : str
        A key of `RULES`.
    line, column : int, optional
        Where, from 1; None where it is about the whole file.
    message : str
        What came and what was due.

    Examples
    --------
    >>> str(Finding("bars", 7, 12, "bar 3 lasts 7/8, the meter is 4/4"))
    'line 7, column 12: bar 3 lasts 7/8, the meter is 4/4'
    """

    rule: str
    line: int | None
    column: int | None
    message: str

    def __str__(self) -> str:
        """Place and message."""
        places = [
            f"{name} {at}" for name, at in (("line", self.line), ("column", self.column)) if at
        ]
        return f"{', '.join(places)}: {self.message}" if places else self.message
