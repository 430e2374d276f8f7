"""Attack a model on each sound file of a folder: adversaries, a file of records, and pages.

A record is appended as soon as its adversary is written, and another run resumes where the file
ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from otoscope import records, report
from otoscope.documents import require_types
from otoscope.errors import ParameterError, WorkerEnded
from otoscope.pool import check_same, mapped
from otoscope.progress import Progress, silent, tracked
from otoscope.workflows.attack import Attacker, Change, save_attack_page
from otoscope.workflows.attack_methods import method_of
from otoscope.workflows.attack_result import FORMAT, AttackFileConfig
from otoscope.workflows.attack_universal import UNIVERSAL, find_universal
from otoscope.workflows.explain.records import page_of, pages_of
from otoscope.workflows.recording import sound_files

__all__ = ["adversaries", "adversary_row", "attack_to_records", "write_attack_index"]

_RECORD = {"file": str, "out": str, "error": str, "sources": dict}
_ATTACKED = {"is_fooled": bool, "snr_db": float | None, "notes": list, "pieces": list, "shown": int}
_EVALUATION = {"label_before": str, "label_after": str, "confidence_after": float}


def attack_to_records(
    config: AttackFileConfig,
    path: Path,
    *,
    html: Path | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> int:
    """Attack each sound file of a folder, and append a record per file that the file lacks.

    Records of sounds, adversaries or a model whose content has changed since are removed first.

    Parameters
    ----------
    config : AttackFileConfig
        Settings, with a folder of sounds and the folder for the adversaries, see `adversaries`.
    path : Path
        JSON Lines file; made if it does not exist. A record has ``file``, ``out``, ``error``,
        ``sources`` and the document of an `AttackFileResult`; ``shown`` is the index of the piece
        whose measures stand for the file.
    html : Path, optional
        Index that will be written. The page of each file is written to the folder beside it.
    workers : int, optional
        Number of processes that share the files, see `pool.mapped`: the results are the same for
        any number. The file of a process that was killed has a record with the reason, and is
        attacked by the next run.
    progress : bool or callable
        True shows bars over "files", and in one process over the pieces and steps of each.

    Returns
    -------
    int
        Number of records that existed before and needed no more work.

    Raises
    ------
    ParameterError
        If a setting is wrong, the folder has no sounds, an adversary would replace one of them, or
        the file holds records of other settings or is being written by another process.

    Examples
    --------
    >>> config = AttackFileConfig(Path("songs"), "synth-singing", Path("adversaries"))
    >>> attack_to_records(config, Path("adversaries.jsonl"))  # doctest: +SKIP
    0
    """
    places = adversaries(config)
    if path.exists():
        _check_settings(path, config)
    attacker = Attacker(config)
    if method_of(config) == "universal":
        attacker.change = find_universal(attacker, places, config.out, progress=progress)
    folders = {place.parent for place in places.values()} | ({pages_of(html)} if html else set())
    for folder in folders | {path.parent}:
        folder.mkdir(parents=True, exist_ok=True)
    with records.Records(path) as stored:
        done, outdated = set[str](), []
        for record in records.stream(path):
            if _is_current(record, attacker, places, html):
                done.add(record["file"])
            else:
                outdated.append(record["key"])
        stored.remove(outdated)
        remaining = [(file, place) for file, place in places.items() if str(file) not in done]
        attacked = mapped(
            partial(_worker, config, attacker.identity, html, attacker.change),
            remaining,
            here=partial(_recorded, attacker, html, progress),
            workers=workers,
            device=config.device,
        )
        try:
            with closing(attacked):
                shown = tracked(progress, remaining, "files")
                for (file, place), rows in zip(shown, attacked, strict=True):
                    try:
                        (record,) = rows
                    except WorkerEnded as err:
                        record = _failed(err, file, place, config, {})
                    stored.append({"file": str(file)}, record, seed=config.seed)
        finally:
            for folder in folders:  # what a killed worker was writing
                records.remove_dead_drafts(folder)
    return len(done)


def adversaries(config: AttackFileConfig) -> dict[Path, Path]:
    """Name the adversary of each sound file of a folder.

    Parameters
    ----------
    config : AttackFileConfig
        Settings, with a folder of sounds and the folder for the adversaries.

    Returns
    -------
    dict of Path to Path
        Adversary of each file, a .wav file at the same place below ``out``.

    Raises
    ------
    ParameterError
        If the folder has no sounds, or an adversary would be one of them.

    Examples
    --------
    >>> config = AttackFileConfig(Path("songs"), "synth-singing", Path("adversaries"))
    >>> adversaries(config)  # doctest: +SKIP
    {PosixPath('songs/a.ogg'): PosixPath('adversaries/a.ogg.wav')}
    """
    sound, out = config.sound, config.out
    if out.suffix.lower() in (".wav", ".flac") or out.is_file():
        raise ParameterError(f"{out} is a file; the adversaries of a folder need a folder")
    if out.resolve().is_relative_to(sound.resolve()):
        raise ParameterError(
            f"{out} is in {sound}, where the adversaries would be attacked next; name a folder "
            "outside it"
        )
    places: dict[Path, Path] = {}
    for file in sound_files((sound,)):
        name = file.name if file.suffix.lower() == ".wav" else f"{file.name}.wav"
        places[file] = out / file.relative_to(sound).with_name(name)
    if method_of(config) == "universal" and out / UNIVERSAL in places.values():
        raise ParameterError(f"the adversary of a file would be {out / UNIVERSAL}; rename the file")
    sources = {file.resolve() for file in places}
    of_place: dict[Path, Path] = {}
    for file, place in places.items():
        if place.resolve() in sources:
            raise ParameterError(f"the adversary of {file} would replace {place}; name another out")
        if (other := of_place.setdefault(place, file)) != file:
            raise ParameterError(
                f"{other} and {file} would have one adversary, {place}; rename one"
            )
    return places


def write_attack_index(
    rows: Iterable[Mapping[str, Any]], html: Path, *, figure: Path | None = None, caption: str = ""
) -> None:
    """Write the page that lists the attacked files and links to the page of each.

    Parameters
    ----------
    rows : iterable of dict
        Records, see `attack_to_records`.
    html : Path
        Index, as given to `attack_to_records`.
    figure : Path, optional
        SVG file of the robustness curve.
    caption : str
        Sentence about the figure.

    Examples
    --------
    >>> write_attack_index(records.stream(Path("a.jsonl")), Path("a.html"))  # doctest: +SKIP
    """
    lines = [adversary_row(row, html) for row in rows]
    report.save_adversary_index(lines, html, figure=figure, caption=caption)


def adversary_row(record: Mapping[str, Any], html: Path | None = None) -> report.AdversaryRow:
    """Summarise a record as a row of an index.

    Parameters
    ----------
    record : dict
        Record, see `attack_to_records`.
    html : Path, optional
        Index, as given to `attack_to_records`.

    Returns
    -------
    AdversaryRow
        Row of the piece that stands for the file.

    Examples
    --------
    >>> adversary_row({"file": "a.wav", "error": "is silent"}).error
    'is silent'
    """
    if record["error"]:
        return report.AdversaryRow(record["file"], error=record["error"])
    evaluation = record["pieces"][record["shown"]]["evaluation"]
    return report.AdversaryRow(
        record["file"],
        html and page_of(html, record).relative_to(html.parent),
        evaluation["label_before"],
        evaluation["label_after"],
        evaluation["confidence_after"],
        record["snr_db"],
        is_fooled=record["is_fooled"],
    )


def _worker(
    config: AttackFileConfig,
    identity: Mapping[str, str],
    html: Path | None,
    change: Change | None,
) -> Any:
    """Load the model in a worker."""
    attacker = Attacker(config, change)
    check_same(attacker.identity, identity)
    return partial(_recorded, attacker, html, silent)


def _recorded(
    attacker: Attacker, html: Path | None, progress: Progress, item: tuple[Path, Path]
) -> Iterator[dict[str, Any]]:
    """Attack a file, write its adversary and its page, and convert the result to a record."""
    file, place = item
    sources: dict[str, Any] = {"sound": _stamp(file), "model": attacker.identity}
    if attacker.change is not None:
        sources["change"] = attacker.change.origin
    try:
        result = attacker.of(file, place, progress=progress)
    except ParameterError as err:
        place.unlink(missing_ok=True)  # that of another content
        yield _failed(err.without(file), file, place, attacker.config, sources)
        return
    sources["adversary"] = records.stamp(place)
    record = result.to_dict()
    del record["versions"]  # they are in all records
    record |= _about(file, place, attacker.config, sources)
    record |= {"error": "", "shown": result.pieces.index(result.shown[0])}
    if html:
        save_attack_page(result, page_of(html, {"key": {"file": str(file)}, **record}))
    yield records.to_plain(record)


def _failed(
    err: ParameterError,
    file: Path,
    place: Path,
    config: AttackFileConfig,
    sources: Mapping[str, Any],
) -> dict[str, Any]:
    record = {"format": FORMAT, **_about(file, place, config, sources), "error": str(err)}
    if err.advice is not None:
        record["advice"] = err.advice.to_list()
    plain: dict[str, Any] = records.to_plain(record)
    return plain


def _about(
    file: Path, place: Path, config: AttackFileConfig, sources: Mapping[str, Any]
) -> dict[str, Any]:
    about = {"file": str(file), "out": str(place), "sources": sources}
    return {**about, "settings": _settings(config)}


def _settings(config: AttackFileConfig) -> dict[str, Any]:
    """Return the settings that all records of a file share, as read from JSON."""
    settings = records.to_plain(replace(config, sound=Path(), out=Path()))
    later = (
        *("outputs", "method", "norm", "masking", "segmental_snr_db", "transforms", "draws"),
        *("nearest", "padded"),
    )
    default = AttackFileConfig(Path(), config.model, Path())
    unset = {name for name in later if getattr(config, name) == getattr(default, name)}
    left_out = {"sound", "out", *unset}  # as in old rows
    return {name: value for name, value in settings.items() if name not in left_out}


def _check_settings(path: Path, config: AttackFileConfig) -> None:
    """Refuse a file whose records have other settings, or are no attacks."""
    here = _settings(config)
    for record in records.stream(path):
        there = record.get("settings") if record.get("format") == FORMAT else None
        if not isinstance(there, dict):
            raise ParameterError(f"{path} holds no attacks; name another file")
        names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
        if names:
            listed = ", ".join(f"{n} {there.get(n)}, not {here.get(n)}" for n in names)
            raise ParameterError(
                f"{path} holds rows of other settings ({listed}); name another file, or delete it"
            )
        require_types(record, _RECORD, f"a record in {path}")
        if not record["error"]:
            require_types(record, _ATTACKED, f"a record in {path}")
            shown = dict(enumerate(record["pieces"])).get(record["shown"])
            if not isinstance(shown, dict) or not isinstance(shown.get("evaluation"), dict):
                raise ParameterError(f"a record in {path} has no piece {record['shown']}")
            require_types(shown["evaluation"], _EVALUATION, f"a piece in {path}")


def _is_current(
    record: Mapping[str, Any], attacker: Attacker, places: Mapping[Path, Path], html: Path | None
) -> bool:
    """Return whether a record's model is this, its files as they were, and its page there."""
    file, sources = Path(record["file"]), record["sources"]
    if sources.get("model") != attacker.identity or not isinstance(sources.get("sound"), dict):
        return False
    if attacker.change is not None and sources.get("change") != attacker.change.origin:
        return False
    if not file.exists():
        return True
    if record["out"] != str(places.get(file)) or not _is_as_before(file, sources["sound"]):
        return False
    if record["error"]:
        return True
    is_page_there = html is None or page_of(html, record).is_file()
    return is_page_there and _is_as_before(Path(record["out"]), sources.get("adversary"))


def _is_as_before(file: Path, stamp: object) -> bool:
    return isinstance(stamp, dict) and file.exists() and records.is_unchanged(file, stamp)


def _stamp(path: Path) -> dict[str, Any] | None:
    try:
        return records.stamp(path)
    except OSError:
        return None
