"""The work behind the workbench, in a process of its own: the workflows of the command line.

Files have names of ours; in all that is told (sentences, reports, JSON, errors) they are replaced
by the user's names.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from otoscope import records
from otoscope.errors import Advice, Argument, MissingExtra, ParameterError
from otoscope.records import write_text
from otoscope.serve.archives import TABLE, Member, unpack
from otoscope.serve.fields import SEGMENTS
from otoscope.serve.uploads import Limits
from otoscope.workers import say

__all__ = ["ADVERSARY", "FILES", "RECORD", "REPORT", "WorkbenchSettings", "make_workbench"]

REPORT, RECORD, ADVERSARY = "report.html", "result.json", "adversary.wav"
FILES = {REPORT: "text/html", RECORD: "application/json", ADVERSARY: "audio/wav"}
"""Files of a result with their types."""

_SIDES = ("real", "generated")
_KEPT_MODELS = 3
_MOST_SAMPLES = 1 << 28  # of all channels of a sound: 1 GB in memory
_SAID_EVERY = 0.1  # seconds
_UNLABELLED = Argument("unlabelled", True)
_WORDS = {
    "target": "Output",
    "start": "Start",
    "segments": "Segments",
    "padded": "Fill short sounds up with silence",
    "unlabelled": "Take the answers to the unchanged sounds as right",
    "model": "Model",
    "layer": "Layer",
}
"""Labels on the page of what an advice names."""


@dataclass(frozen=True)
class WorkbenchSettings:
    """Models and limits of the workbench.

    Parameters
    ----------
    models : tuple of str
        Names of models of the zoo; the first is the default. Only these can be asked for.
    limits : Limits
        Limits of uploads and jobs.
    """

    models: tuple[str, ...]
    limits: Limits = field(default_factory=Limits)


def make_workbench(settings: WorkbenchSettings) -> Callable[[Any], Iterator[Any]]:
    """Return the work, after a small explanation: it loads the first model and most code."""
    from otoscope.data import sample

    loaded = lru_cache(maxsize=_KEPT_MODELS)(_loaded)
    work = partial(_work, loaded, settings.limits)
    with TemporaryDirectory() as out:
        asked = {"sound": sample().path, "model": settings.models[0], "segments": "temporal:2"}
        others = {"target": None, "start": None, "content": "mean_inp", "padded": False}
        list(work({"kind": "explain", "names": {}, "out": out, **asked, **others}))
    return work


def _loaded(model: str) -> tuple[Any, dict[str, str]]:
    from otoscope.workflows.recording import load_identified_listener

    return load_identified_listener(model, device="cpu")


def _work(
    loaded: Callable[[str], Any], limits: Limits, item: Mapping[str, Any] | None
) -> Iterator[Any]:
    """Yield the answer, or the `ParameterError` that belongs in its place."""
    if item is None:
        return
    names = _Names(item["names"], Path(item["out"]))
    try:
        answer = _KINDS[item["kind"]](item, loaded, limits, names)
        yield names.told(records.to_plain(answer)) | {"kind": item["kind"]}
    except ParameterError as err:
        advice = f"; {err.advice.spelled(_spelled)}" if err.advice else ""
        yield ParameterError(names.text(f"{err.message}{advice}"))
    except (MissingExtra, MemoryError, OSError) as err:
        yield ParameterError(names.text(f"{err}" or type(err).__name__))
    except Exception as err:  # a fault of ours, which a user must be told of all the same
        yield ParameterError(names.text(f"this has failed: {type(err).__name__}: {err}"))


def _spelled(argument: Argument) -> str:
    name = f"“{_WORDS.get(argument.name, argument.name)}”"
    if argument.value in (..., True):
        return name
    value = str(argument.value)
    return f"{name} {SEGMENTS.get(value, value)}"


class _Names:
    """The users' names of files that are called by random names of ours."""

    def __init__(self, names: Mapping[str, str], out: Path) -> None:
        self._names, self._folder = dict(names), f"{out}{os.sep}"

    def add(self, path: Path, name: str) -> None:
        self._names[str(path)] = name

    def text(self, text: str, spell: Callable[[str], str] = str) -> str:
        """Replace whole paths, names of files, and their stems; results have no folder."""
        text = text.replace(self._folder, "")
        # Longer paths first: a sound of an archive is called by the archive and a number.
        for path, name in sorted(self._names.items(), key=lambda pair: -len(pair[0])):
            stem = Path(path).stem
            if stem in text:
                text = text.replace(path, spell(name)).replace(Path(path).name, spell(name))
                text = text.replace(stem, spell(Path(name).stem or name))
        return text

    def told(self, value: Any) -> Any:
        """Replace names in all texts of JSON."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.told(one) for one in value]
        if isinstance(value, dict):
            return {self.text(key): self.told(one) for key, one in value.items()}
        return value

    def write(self, out: Path, record: Any) -> list[str]:
        """Write the record, replace names in the report; the files of the result."""
        write_text(out / RECORD, records.to_json(self.told(records.to_plain(record))) + "\n")
        page = out / REPORT
        if page.exists():
            write_text(page, self.text(page.read_text("utf-8"), escape))
        return [name for name in FILES if (out / name).exists()]


class _Progress:
    """Says how much of the work is done, at most some times per second."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, items: Any, description: str) -> Iterator[Any]:
        n = len(items) if hasattr(items, "__len__") else None
        for i, one in enumerate(items):
            now = time.monotonic()
            if now - self._last > _SAID_EVERY:
                self._last = now
                say({"doing": description, "done": i, "of": n})
            yield one


def _explain(
    item: Mapping[str, Any], loaded: Callable[[str], Any], limits: Limits, names: _Names
) -> dict[str, Any]:
    from otoscope.workflows import ExplainConfig, save_explain_page, to_record
    from otoscope.workflows.explain.explain import Explainer

    sound, out = Path(item["sound"]), Path(item["out"])
    _require_short(sound, limits)
    config = ExplainConfig(
        (sound,),
        item["model"],
        target=item["target"],
        start=item["start"],
        segments=item["segments"],
        content=item["content"],
        padded=item["padded"],
    )
    explainer = Explainer(config, loaded=loaded(item["model"]))
    (result,) = explainer.of(sound, progress=_Progress())
    save_explain_page(result, out / REPORT)
    record = to_record(result, config, is_whole=True)
    return {
        "sentence": str(result.explanation),
        "notes": record["warnings"],
        "files": names.write(out, record),
        "result": out.name,
        "outputs": list(explainer.model.output_names),
        "target": record["target"],
    }


def _attack(
    item: Mapping[str, Any], loaded: Callable[[str], Any], limits: Limits, names: _Names
) -> dict[str, Any]:
    from otoscope.report.adversary import cautions, sentence
    from otoscope.workflows import AttackFileConfig, save_attack_page
    from otoscope.workflows.attack import Attacker

    sound, out = Path(item["sound"]), Path(item["out"])
    _require_short(sound, limits)
    config = AttackFileConfig(
        sound,
        item["model"],
        out / ADVERSARY,
        target=item["target"],
        start=item["start"] or 0.0,
        snr_db=item["snr_db"],
        method=item["method"],
        padded=item["padded"],
    )
    attacker = Attacker(config, loaded=loaded(item["model"]))
    result = attacker.of(sound, config.out, progress=_Progress())
    save_attack_page(result, out / REPORT)
    _, evaluation = result.shown
    return {
        "sentence": sentence(evaluation, model=result.model),
        "notes": [*result.notes, *cautions(evaluation)],
        "files": names.write(out, result.to_dict()),
        "result": out.name,
        "outputs": list(attacker.model.output_names),
    }


def _interrogate(
    item: Mapping[str, Any], loaded: Callable[[str], Any], limits: Limits, names: _Names
) -> dict[str, Any]:
    from otoscope.intervene import InterrogationSettings, registered
    from otoscope.report import verdict_text
    from otoscope.report.interrogation.text import change_table, typeset
    from otoscope.workflows import (
        InterrogateConfig,
        interrogate_files,
        save_interrogate_page,
    )

    out, unlabelled = Path(item["out"]), bool(item["unlabelled"])
    members = _members(item["archive"], limits, names)
    if not unlabelled and not all(member.label for member in members):
        raise ParameterError(
            f"{item['archive']} has sounds outside of folders, which name the right answers",
            advice=Advice("put each sound into the folder of its class, or tick ", _UNLABELLED),
        )
    folder, entries = members[0].file.parent, {e.option[2:]: e for e in registered()}
    config = InterrogateConfig(
        item["model"],
        folder,
        tuple(
            entry.example if entry.value_type == "flag" else entry.example.with_dose(dose)
            for name, dose in item["changes"].items()
            for entry in [entries[name]]
        ),
        labels=folder / TABLE,
        unlabelled=unlabelled,
        padded=item["padded"],
        settings=InterrogationSettings(workers=1),
    )
    result = interrogate_files(config, progress=_Progress())
    save_interrogate_page(result, out / REPORT)
    verdict = verdict_text(result.result)
    return {
        "sentence": typeset(verdict.sentence, is_sentence=True),
        "notes": [
            *(typeset(line, is_sentence=True) for line in (*verdict.cautions, *result.notes)),
            *(f"{name}: {reason}" for name, reason in result.skipped.items()),
        ],
        "table": change_table(result.result),
        "files": names.write(out, result.to_dict()),
        "result": out.name,
    }


def _distance(
    item: Mapping[str, Any], loaded: Callable[[str], Any], limits: Limits, names: _Names
) -> dict[str, Any]:
    from otoscope.report.distance.page import distance_sentence, save_distance
    from otoscope.report.numbers import significant
    from otoscope.workflows import DistanceConfig, FeatureConfig
    from otoscope.workflows.distance import measure_distance

    out = Path(item["out"])
    real, generated = (_side(item[side], side, out, limits, names) for side in _SIDES)
    measures = DistanceConfig(
        metric=item["metric"], interval=item["interval"], per_file=item["per_file"]
    )
    config = FeatureConfig(item["model"], item["layer"], padded=item["padded"])
    try:
        result = measure_distance(
            real, generated, config, measures, workers=1, progress=_Progress()
        )
    finally:
        for folder in (real, generated):
            shutil.rmtree(folder)
    content = result.content
    save_distance(content, out / REPORT)
    skipped = [
        f"{name}: {reason}"
        for side in (result.real, result.generated)
        for name, reason in side.skipped.items()
    ]
    rows = [
        (file.file, str(file.n), "–" if file.distance is None else significant(file.distance))
        for file in result.files
    ]
    return {
        "sentence": distance_sentence(content),
        "notes": [*content.notes, *skipped],
        "table": [("file", "excerpts", "distance"), *rows] if rows else None,
        "files": names.write(out, content.record),
        "result": out.name,
    }


_KINDS: dict[str, Callable[..., dict[str, Any]]] = {
    "explain": _explain,
    "attack": _attack,
    "interrogate": _interrogate,
    "distance": _distance,
}


def _members(archive: str, limits: Limits, names: _Names) -> list[Member]:
    """Unpack the sounds of an archive, and give their names to those that are told."""
    path = Path(archive)
    members = unpack(path, path.with_suffix(""), limits, name=archive)
    for member in members:
        names.add(member.file, member.name)
        _require_short(member.file, limits, is_one_of_many=True)
    names.add(members[0].file.parent, names.text(path.name))
    return members


def _side(uploads: Sequence[str], side: str, out: Path, limits: Limits, names: _Names) -> Path:
    """Collect the sounds of one side of a distance in a folder, by links."""
    sounds = [
        file
        for path in map(Path, uploads)
        for file in (
            [member.file for member in _members(str(path), limits, names)]
            if path.suffix == ".zip"
            else [path]
        )
    ]
    if len(sounds) > limits.files:
        raise ParameterError(f"{len(sounds):,} sounds are on one side; at most {limits.files} fit")
    folder = out / secrets.token_hex(12)
    folder.mkdir()
    names.add(folder, side)
    for sound in sounds:
        _require_short(sound, limits, is_one_of_many=True)
        os.link(sound, folder / sound.name)
    return folder


def _require_short(sound: Path, limits: Limits, *, is_one_of_many: bool = False) -> None:
    """Refuse a sound that lasts too long, by its header or else its samples, or is too large.

    One of many that cannot be read is left to the workflow, which skips and lists it.
    """
    from otoscope.signal.audio.reader import SoundReader

    try:
        with SoundReader(sound) as reader:
            seconds, n_read = reader.n_frames / reader.sr, 0
            if seconds == float("inf"):
                while n_read <= limits.seconds * reader.sr and len(block := reader.read()):
                    n_read += len(block)
                seconds = n_read / reader.sr
            n_samples = seconds * reader.sr * reader.n_channels
    except ParameterError:
        if is_one_of_many:
            return
        raise
    if seconds > limits.seconds:
        raise ParameterError(
            f"{sound} lasts {seconds / 60:.0f} minutes or more; at most "
            f"{limits.seconds / 60:.0f} are taken: cut it first"
        )
    if n_samples > _MOST_SAMPLES:  # 30 kB of FLAC may be hours of silence in eight channels
        raise ParameterError(
            f"{sound} has {n_samples:,.0f} samples in {reader.n_channels} channels; at most "
            f"{_MOST_SAMPLES:,} are taken: convert it to one channel"
        )
