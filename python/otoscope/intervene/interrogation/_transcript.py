"""What was answered so far: on the disk as it comes, so that a restart goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

from otoscope.errors import ParameterError
from otoscope.records import Records, read, to_plain

__all__ = ["Transcript"]

_HEADER = "interrogation"


class Transcript:
    """Answers by item, its number, and by round, kept in a JSON Lines file if there is one.

    Parameters
    ----------
    path : str or Path, optional
        The file: made, or taken up again if it is of the same interrogation.
    asked : mapping
        Everything that the answers depend on, the system apart.
    seed : int
        Written beside each answer.

    Raises
    ------
    ParameterError
        If the file holds another interrogation.

    Examples
    --------
    >>> with Transcript(None, {"doses": [0, 6]}, seed=0) as transcript:
    ...     transcript.put(0, "items", ["Waltz", "Tango"])
    ...     transcript.get(0, "items"), transcript.get(1, "items")
    (['Waltz', 'Tango'], None)
    """

    def __init__(
        self, path: str | PathLike[str] | None, asked: Mapping[str, Any], *, seed: int
    ) -> None:
        self._answers: dict[tuple[int, str], list[str]] = {}
        self._seed = seed
        self._records: Records | None = None
        if path is None:
            return
        self._records = Records(Path(path))  # locks it, and cuts off a torn line
        try:
            self._take_up(Path(path), to_plain(asked))
        except BaseException:
            self._records.close()
            raise

    def get(self, item: int, part: str) -> list[str] | None:
        """What was answered of an item in a round, or None."""
        return self._answers.get((item, part))

    def put(self, item: int, part: str, answers: Sequence[str]) -> None:
        """Write answers down.

        Parameters
        ----------
        item : int
            Its number: names may stand twice.
        part : str
            The round; its name says which questions it has.
        answers : sequence of str
            In the order of the questions.

        Examples
        --------
        >>> Transcript(None, {}, seed=0).put(0, "items", ["Waltz"])
        """
        self._answers[item, part] = list(answers)
        if self._records is not None:
            self._records.append([item, part], {"answers": list(answers)}, seed=self._seed)

    def __enter__(self) -> Transcript:
        """Give the open transcript."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file, whatever happened."""
        if self._records is not None:
            self._records.close()

    def _take_up(self, path: Path, asked: dict[str, Any]) -> None:
        found = read(path)
        if not found and self._records is not None:
            self._records.append(_HEADER, {"asked": asked}, seed=self._seed)
            return
        header, *answers = found
        before = header.get("asked") if header["key"] == _HEADER else None
        if not isinstance(before, dict):
            raise ParameterError(f"{path} holds no interrogation; name another file")
        if other := [name for name in asked if asked[name] != before.get(name)]:
            raise ParameterError(
                f"{path} holds an interrogation with other {', '.join(other)}; "
                "name another file, or remove it to begin anew"
            )
        for record in answers:
            item, part = record["key"]
            self._answers[item, part] = record["answers"]
