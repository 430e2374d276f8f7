"""Answers of listeners, as the page of a listening test writes them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otoscope.documents import read_document, require_types
from otoscope.errors import ParameterError
from otoscope.foreign import files_below, read_json, read_text, refusing

__all__ = ["Answer", "ListeningKey", "answer_files", "read_answers", "read_key"]

_COLUMNS = ("test", "listener", "trial", "stimulus", "answer")
_TYPES: dict[str, Any] = {"test": str, "kind": str, "conditions": dict, "trials": list}
_LONGEST = 200  # characters of a listener's name


@dataclass(frozen=True)
class Answer:
    """An answer of a listener.

    Parameters
    ----------
    listener : str
        Name or number of the listener.
    trial : str
        Name of the trial.
    item : str
        Item of the trial.
    condition : str
        Condition of the sound that was rated; of two that were told apart, both with " / ".
    rating : float
        Rating, 0 to 100; of two that were told apart, 1 if the answer is right, else 0.
    is_anchor : bool
        Whether an anchor was told apart from another sound.
    """

    listener: str
    trial: str
    item: str
    condition: str
    rating: float
    is_anchor: bool = False


@dataclass(frozen=True, eq=False)
class ListeningKey:
    """Key of a listening test.

    Parameters
    ----------
    test : str
        Digest of the test.
    kind : str
        Kind: mushra or abx.
    conditions : mapping
        Role and score of each condition.
    trials : mapping
        Trials by their names on the page.
    """

    test: str
    kind: str
    conditions: Mapping[str, Mapping[str, Any]]
    trials: Mapping[str, Mapping[str, Any]]

    def role(self, condition: str) -> str:
        """Return "reference", "anchor" or ""."""
        return str(self.conditions[condition].get("role") or "")

    @property
    def n_answers(self) -> int:
        """Number of answers of a listener who answers all."""
        if self.kind == "abx":
            return len(self.trials)
        return sum(len(trial["stimuli"]) for trial in self.trials.values())


def read_key(path: Path) -> ListeningKey:
    """Read the key of a test from its file or the folder of the export."""
    file = path / "key.json" if path.is_dir() else path
    if not file.is_file():
        raise ParameterError(
            f"{file} is not there; give key.json, or the folder that otoscope listening-test "
            "export wrote"
        )
    content, _ = read_document(
        read_json(file), "otoscope.ListeningTest", 1, name="key of a listening test"
    )
    require_types(content, _TYPES, str(file))
    with refusing(file, "is damaged"):
        trials = {str(trial["trial"]): dict(trial) for trial in content["trials"]}
        key = ListeningKey(content["test"], content["kind"], content["conditions"], trials)
        for trial in trials.values():
            for name in dict(trial["stimuli"]).values():
                key.role(name)
    return key


def answer_files(paths: Iterable[Path]) -> list[Path]:
    """List the files of answers; folders are searched for CSV files."""
    files: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise ParameterError(f"{path} is not there")
        inside = files_below(path, {".csv"}) if path.is_dir() else [path]
        if not inside:
            raise ParameterError(f"{path} has no answers (.csv)")
        files |= dict.fromkeys(inside)
    return [*files]


def read_answers(files: Sequence[Path], key: ListeningKey) -> list[Answer]:
    """Read the answers of all listeners.

    Raises
    ------
    ParameterError
        If a file is of another test, lacks a column, has an unknown sound, an answer out of range,
        or an answer twice; the message has file and line.
    """
    answers, seen = list[Answer](), dict[tuple[str, str], str]()
    for path in files:
        for line, row in _rows(path):
            place = f"{path}, line {line}"
            if row["test"] != key.test:
                raise ParameterError(
                    f"{place}: the answer is to test {row['test']!r}, the key is of test "
                    f"{key.test!r}"
                )
            answer, stimulus = _answer(place, row, key)
            before = seen.setdefault((answer.listener, f"{answer.trial} {stimulus}"), place)
            if before != place:
                raise ParameterError(
                    f"{place}: listener {answer.listener!r} has answered this already in {before}; "
                    "listeners need names of their own"
                )
            answers.append(answer)
    if not answers:
        raise ParameterError(f"{files[0]} has no answers")
    return answers


def _rows(path: Path) -> Iterable[tuple[int, dict[str, str]]]:
    with refusing(path, "cannot be read as CSV"):
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
        rows: list[dict[str, Any]] = [*reader]
        columns = [*(reader.fieldnames or ())]
    if lacking := [name for name in _COLUMNS if name not in columns]:
        raise ParameterError(
            f"{path} has no column {lacking[0]!r}; its first line names {', '.join(columns) or '-'}"
        )
    return [
        (line, {name: str(row.get(name) or "").strip() for name in _COLUMNS})
        for line, row in enumerate(rows, 2)
    ]


def _answer(place: str, row: Mapping[str, str], key: ListeningKey) -> tuple[Answer, str]:
    listener, stimulus = row["listener"], row["stimulus"]
    if not listener or len(listener) > _LONGEST:
        raise ParameterError(f"{place}: listener is {listener!r}, must be a name")
    trial = key.trials.get(row["trial"])
    if trial is None:
        raise ParameterError(f"{place}: trial {row['trial']!r} is none of the test")
    stimuli, item = trial["stimuli"], str(trial["item"])
    if key.kind == "abx":
        if stimulus != trial["open"] or row["answer"] not in stimuli:
            raise ParameterError(
                f"{place}: {row['answer']!r} for {stimulus!r} is no choice of this trial"
            )
        condition, is_right = " / ".join(sorted(stimuli.values())), row["answer"] == trial["right"]
        is_anchor = bool(trial.get("is_anchor"))
        name = row["trial"]
        return Answer(listener, name, item, condition, float(is_right), is_anchor), stimulus
    if stimulus not in stimuli:
        raise ParameterError(f"{place}: stimulus {stimulus!r} is not in this trial")
    try:
        rating = float(row["answer"])
    except ValueError:
        rating = math.nan
    if not 0 <= rating <= 100:
        raise ParameterError(f"{place}: the rating is {row['answer']!r}, must be in 0 to 100")
    return Answer(listener, row["trial"], item, stimuli[stimulus], rating), stimulus
