"""Export of a listening test: a page without names, and the key that stays with the examiner."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from otoscope import records
from otoscope.documents import document
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.records import to_json
from otoscope.report.listening.page import PageTrial, save_listening_page
from otoscope.seeds import numpy_generator
from otoscope.signal.loudness import match_loudness
from otoscope.workflows.listening.stimuli import Stimulus, read_stimuli

__all__ = [
    "KEY",
    "KINDS",
    "PAGE",
    "ListeningTest",
    "ListeningTestConfig",
    "export_listening_test",
]

KINDS = ("mushra", "abx")
"""Kinds of tests: ratings of several sounds beside each other, and telling two apart."""

KEY, PAGE = "key.json", "test.html"
"""Names of the files of an export."""

_ANCHOR_HZ = 3500.0
_MOST = 12  # sounds of a trial
_QUESTIONS = {
    "mushra": "How good is each sound? Compare it with the reference, if there is one.",
    "abx": "X is the same as one of the two sounds. Which one?",
}


@dataclass(frozen=True)
class ListeningTestConfig:
    """Sounds to compare, and the kind of test.

    Parameters
    ----------
    sounds : Path
        Folder with a folder of sounds per condition; folder of sounds, each a condition; results of
        otoscope experiment am-grid; or CSV with columns condition and file, and perhaps item and
        score (smaller is better).
    kind : {"mushra", "abx"}
        Kind of test: mushra (rate the sounds of all conditions beside each other, from 0 to 100) or
        abx (tell two conditions apart).
    question : str
        Question to the listener. By default one that fits the kind.
    low, high : str
        Names of the ends of the scale (mushra).
    reference : str, optional
        Condition that is the reference: it is played openly, and hidden among the others (mushra),
        or compared with each of them (abx).
    anchors : tuple of str
        Conditions that are clearly bad. By default, if there is a reference, the reference without
        frequencies above 3.5 kHz (mushra).
    repeats : int
        Number of trials of each item, >= 1.
    sr : float, optional
        Sample rate of all sounds, in Hz. By default that of the files, which must be one.
    seed : int
        Random seed of the names of sounds, and of which of two is X.

    Examples
    --------
    >>> ListeningTestConfig(Path("sounds")).kind
    'mushra'
    """

    sounds: Path
    kind: str = "mushra"
    question: str = ""
    low: str = "bad"
    high: str = "excellent"
    reference: str | None = None
    anchors: tuple[str, ...] = ()
    repeats: int = 1
    sr: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ParameterError(f"kind is {self.kind!r}, must be {' or '.join(KINDS)}")
        if self.repeats < 1 or self.seed < 0:
            raise ParameterError(
                f"repeats is {self.repeats} and seed {self.seed}; must be >= 1 and >= 0"
            )
        if self.reference is not None and self.reference in self.anchors:
            raise ParameterError(f"{self.reference!r} is both reference and anchor")


@dataclass(frozen=True, eq=False)
class ListeningTest:
    """An exported test.

    Parameters
    ----------
    config : ListeningTestConfig
        Settings.
    test : str
        Digest of the sounds and the order, which answers must carry.
    trials : tuple of dict
        Trials with their names on the page, items, and the condition of each sound by its name on
        the page.
    conditions : dict
        Role ("reference", "anchor" or "") and score of each condition.
    level : float
        Loudness of all sounds, in LUFS.
    notes : tuple of str
        What may tell conditions apart all the same.
    """

    config: ListeningTestConfig
    test: str
    trials: tuple[dict[str, Any], ...]
    conditions: dict[str, dict[str, Any]]
    level: float
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the key in JSON's types."""
        return document(
            "otoscope.ListeningTest",
            1,
            {
                "test": self.test,
                "kind": self.config.kind,
                "settings": self.config,
                "level_lufs": self.level,
                "conditions": self.conditions,
                "trials": self.trials,
                "notes": self.notes,
                "versions": records.versions(),
            },
        )


def export_listening_test(
    config: ListeningTestConfig, out: Path, *, stimuli: Sequence[Stimulus] | None = None
) -> ListeningTest:
    """Write a listening test: ``test.html`` for listeners, and the secret ``key.json``.

    Parameters
    ----------
    config : ListeningTestConfig
        Sounds and kind.
    out : Path
        Folder; made if it does not exist.
    stimuli : sequence of Stimulus, optional
        Sounds in memory, in place of those of the config.

    Returns
    -------
    ListeningTest
        The test with its key.

    Raises
    ------
    ParameterError
        If the sounds cannot be read or are silent, a condition is missing, or there are fewer than
        two.

    Notes
    -----
    All sounds have one loudness (BS.1770 :cite:`itu1770`) within the rounding of 16 bits. Each copy
    of a sound has a dither of its own, so that no two are the same data. The page draws another
    order of trials and sounds for each listener.

    Examples
    --------
    >>> config = ListeningTestConfig(Path("sounds"))
    >>> export_listening_test(config, Path("test")).test  # doctest: +SKIP
    '5d1f0c6c3b9f4f0e'
    """
    if stimuli is None:
        stimuli = read_stimuli(config.sounds, sr=config.sr)
    by_item = _by_item(stimuli)
    roles = _roles(config, [*next(iter(by_item.values()))], stimuli[0].sr)
    if config.reference is not None and config.kind == "mushra" and not config.anchors:
        name = _anchor_name()
        for members in by_item.values():
            members[name] = _low_passed(members[config.reference], name)
        roles[name] = "anchor"
    sounds = [(item, name, s) for item, members in by_item.items() for name, s in members.items()]
    levelled, level = _levelled([stimulus for _, _, stimulus in sounds])
    matched = {(item, name): y for (item, name, _), y in zip(sounds, levelled, strict=True)}
    salt = _digest(config, matched)
    plans = list(_trials(config, by_item, roles, salt))
    shown = [_shown(plan, matched, config.seed, number) for number, plan in enumerate(plans)]
    test = hashlib.blake2b(to_json([salt, [plan.key for plan in plans]]).encode(), digest_size=8)
    result = ListeningTest(
        config,
        test.hexdigest(),
        tuple(plan.to_dict() for plan in plans),
        {
            name: {"role": roles[name], "score": _score(by_item, name)}
            for name in next(iter(by_item.values()))
        },
        level,
        _notes(stimuli, roles, config, level),
    )
    out.mkdir(parents=True, exist_ok=True)
    records.write_text(out / KEY, to_json(result.to_dict(), indent=1) + "\n")
    save_listening_page(
        shown,
        out / PAGE,
        test=result.test,
        kind=config.kind,
        question=config.question or _QUESTIONS[config.kind],
        scale=(config.low, config.high),
        sr=stimuli[0].sr,
    )
    return result


@dataclass(frozen=True)
class _Plan:
    """A trial: conditions by the names that their sounds have on the page."""

    key: str
    item: str
    stimuli: dict[str, str]  # name on the page: condition
    open: str = ""  # name of the open reference, or of X
    open_condition: str = ""
    rest: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "trial": self.key,
            "item": self.item,
            "stimuli": self.stimuli,
            "open": self.open or None,
            "open_condition": self.open_condition or None,
            **self.rest,
        }


def _by_item(stimuli: Sequence[Stimulus]) -> dict[str, dict[str, Stimulus]]:
    by_item: dict[str, dict[str, Stimulus]] = {}
    for stimulus in stimuli:
        by_item.setdefault(stimulus.item, {})[stimulus.condition] = stimulus
    names = {tuple(sorted(members)) for members in by_item.values()}
    if len(names) != 1 or len(next(iter(names))) < 2:
        raise ParameterError(
            f"{len(stimuli)} sounds of {len(by_item)} items have not one each of two conditions or "
            "more"
        )
    if len({stimulus.sr for stimulus in stimuli}) > 1:
        raise ParameterError("the sounds have several sample rates, must have one")
    return by_item


def _roles(config: ListeningTestConfig, names: Sequence[str], sr: float) -> dict[str, str]:
    """Return the role of each condition, by its name."""
    for what, named in (("reference", config.reference), *(("anchor", a) for a in config.anchors)):
        if named is not None and named not in names:
            raise ParameterError(f"{what} is {named!r}, must be one of {', '.join(names)}")
    others = [n for n in names if n != config.reference and n not in config.anchors]
    if not others:
        raise ParameterError("all conditions are reference or anchors: nothing is compared")
    needs_anchor = config.reference is not None and not config.anchors and config.kind == "mushra"
    if needs_anchor and sr <= 2 * _ANCHOR_HZ:
        raise ParameterError(
            f"the sounds have {sr:g} Hz: their low-passed anchor would be the reference itself",
            advice=Advice("name a condition by ", Argument("anchors")),
        )
    roles = {name: "anchor" if name in config.anchors else "" for name in names}
    if config.reference is not None:
        roles[config.reference] = "reference"
    return roles


def _anchor_name() -> str:
    return f"anchor {_ANCHOR_HZ / 1000:g} kHz"


def _low_passed(stimulus: Stimulus, name: str) -> Stimulus:
    """Make the low-range anchor of BS.1534: the reference without what is above 3.5 kHz."""
    from scipy.signal import butter, sosfiltfilt

    sos = butter(8, _ANCHOR_HZ, fs=stimulus.sr, output="sos")
    padded = min(len(stimulus.y) - 1, 3 * (2 * len(sos) + 1))
    y = torch.from_numpy(sosfiltfilt(sos, stimulus.y.double().numpy(), padlen=padded).copy())
    return Stimulus(name, stimulus.item, y.float(), stimulus.sr, None, stimulus.name)


def _levelled(stimuli: Sequence[Stimulus]) -> tuple[list[Tensor], float]:
    for stimulus in stimuli:
        if not bool(stimulus.y.any()):
            raise ParameterError(
                f"{stimulus.name or stimulus.condition} is silent; a listening test needs sounds"
            )
    return match_loudness([stimulus.y for stimulus in stimuli], stimuli[0].sr)


def _digest(config: ListeningTestConfig, sounds: dict[tuple[str, str], Tensor]) -> str:
    digest = hashlib.blake2b(to_json([config.kind, config.repeats, config.seed]).encode())
    for place, y in sounds.items():
        digest.update(to_json(place).encode() + y.float().numpy().tobytes())
    return digest.hexdigest()


def _trials(
    config: ListeningTestConfig,
    by_item: dict[str, dict[str, Stimulus]],
    roles: dict[str, str],
    salt: str,
) -> Iterator[_Plan]:
    def named(*place: object) -> str:
        text = to_json([salt, *map(str, place)])
        return f"s{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"

    rng, reference = numpy_generator(config.seed, 3), config.reference
    for item, members in by_item.items():
        for repeat in range(config.repeats):
            if config.kind == "mushra":
                stimuli = {named(item, repeat, name): name for name in members}
                first = named(item, repeat, "open", "") if reference else ""
                key = named(item, repeat, "trial", "")
                yield _Plan(key, item, dict(sorted(stimuli.items())), first, reference or "")
                continue
            for pair in combinations(members, 2):
                if reference and reference not in pair:
                    continue
                stimuli = {named(item, repeat, *pair, name): name for name in pair}
                x = pair[int(rng.integers(2))]
                key = named(item, repeat, *pair, "trial", "")
                right = next(token for token, name in stimuli.items() if name == x)
                yield _Plan(
                    key,
                    item,
                    dict(sorted(stimuli.items())),
                    named(item, repeat, *pair, "x", ""),
                    x,
                    {"right": right, "is_anchor": "anchor" in {roles[name] for name in pair}},
                )


def _shown(plan: _Plan, sounds: dict[tuple[str, str], Tensor], seed: int, number: int) -> PageTrial:
    """Take the sounds of a trial, each with a dither of its own."""
    heard = dict(plan.stimuli)
    if plan.open:
        heard[plan.open] = plan.open_condition
    dithered = {}
    for place, (token, condition) in enumerate(heard.items()):
        y = sounds[plan.item, condition].double()
        noise = numpy_generator(seed, 4, number, place).triangular(-1, 0, 1, len(y)) / 32768
        dithered[token] = (y + torch.from_numpy(noise)).float()
    return PageTrial(plan.key, tuple(plan.stimuli), plan.open, dithered)


def _score(by_item: dict[str, dict[str, Stimulus]], name: str) -> float | None:
    """Return the mean score of a condition; None if a sound of it has none."""
    scores = [members[name].score for members in by_item.values()]
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if len(known) == len(scores) else None


def _notes(
    stimuli: Sequence[Stimulus], roles: dict[str, str], config: ListeningTestConfig, level: float
) -> tuple[str, ...]:
    seconds = [len(stimulus.y) / stimulus.sr for stimulus in stimuli]
    notes = []
    if max(seconds) - min(seconds) > 0.05:
        notes.append(
            f"The sounds last {min(seconds):.2f} to {max(seconds):.2f} s: lengths may tell "
            "conditions apart."
        )
    if config.kind == "mushra" and len(roles) > _MOST:
        notes.append(
            f"A trial has {len(roles)} sounds; listeners compare {_MOST} or fewer with care."
        )
    if config.reference is None and config.kind == "mushra":
        notes.append("There is no reference: no listener can be screened by it.")
    if not math.isclose(level, -23.0):
        notes.append(f"All sounds have {level:.1f} LUFS, not -23: a louder one would clip.")
    return tuple(notes)
