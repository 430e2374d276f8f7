"""Judges of notation from outside: abc2midi, a reader of its MIDI files, and abcjs in node."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from otoscope.folk.abc import MidiNote
from tests.support.paths import ROOT

MUSIC21_BOOKS = ("airdsAirs", "oneills1850", "ryansMammoth", "miscFolk")

Reading = list[tuple[float, float, int]]  # onset and duration in whole notes, pitch
Sounding = list[tuple[float, frozenset[int]]]  # onset in whole notes, pitches


def books(collection: str) -> list[Path]:
    """Files of a collection in the installed wheel of music21, which is not imported."""
    spec = find_spec("music21")
    if spec is None or spec.origin is None:
        pytest.skip("music21 is not installed: pip install --no-deps music21")
    return sorted((Path(spec.origin).parent / "corpus" / collection).glob("*.abc"))


def need_abc2midi() -> None:
    if shutil.which("abc2midi") is None:
        pytest.skip("abc2midi is not installed: apt install abcmidi")


def abc2midi(abc: str, folder: Path) -> tuple[Sounding, list[str]]:
    """What abc2midi plays, without ornaments and chord symbols, and its messages."""
    (folder / "judged.abc").write_text(abc, encoding="utf-8")
    midi = folder / "judged.mid"
    midi.unlink(missing_ok=True)
    options = ["-NGRA", "-NGUI", "-NFNP", "-NFER"]
    ran = subprocess.run(
        ["abc2midi", "judged.abc", "-o", "judged.mid", *options],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    log = (ran.stdout + ran.stderr).decode("utf-8", "replace").splitlines()
    messages = [line for line in log if re.match(r"(Error|Warning)", line)]
    return (read_midi(midi.read_bytes()) if midi.exists() else []), messages


def read_midi(content: bytes) -> Sounding:
    """Read the onsets of a Standard MIDI File; abc2midi spreads a chord: 1/128 is together."""
    sounding: Sounding = []
    before = -1.0
    for onset, _, pitch in sorted(notes_of_midi(content)):
        if onset - before < 1 / 128:
            sounding[-1] = (sounding[-1][0], sounding[-1][1] | {pitch})
        else:
            sounding.append((onset, frozenset({pitch})))
        before = onset
    return sounding


def notes_of_midi(content: bytes) -> Reading:
    """Read the notes of all tracks with mido."""
    file = midi_file(content)
    notes: Reading = []
    for track in file.tracks:
        now, begun = 0, dict[int, list[int]]()
        for message in track:
            now += message.time
            if message.type == "note_on" and message.velocity:
                begun.setdefault(message.note, []).append(now)
            elif message.type in ("note_on", "note_off") and begun.get(message.note):
                onset = begun[message.note].pop(0)
                whole = 4 * file.ticks_per_beat
                notes.append((onset / whole, (now - onset) / whole, message.note))
    return notes


def midi_file(content: bytes) -> Any:
    """Read a Standard MIDI File with mido."""
    mido = pytest.importorskip("mido", reason='mido is not installed: "otoscope[test]"')
    return mido.MidiFile(file=io.BytesIO(content))


def warnings_of_abcjs(tunes: Sequence[str]) -> list[list[str]]:
    """The warnings of abcjs' parser, tune by tune."""
    warnings: list[list[str]] = _by_abcjs(tunes, "abcjs.parseOnly(tune)[0].warnings || []")
    return warnings


def read_by_abcjs(tunes: Sequence[str]) -> list[Reading]:
    """The notes that abcjs plays, repeats played."""
    script = """abcjs.parseOnly(tune)[0].setUpAudio({chordsOff: true}).tracks.flat()
        .filter(event => event.cmd === "note").map(x => [x.start, x.duration, x.pitch])"""
    return [[tuple(note) for note in notes] for notes in _by_abcjs(tunes, script)]


def _by_abcjs(tunes: Sequence[str], script: str) -> Any:
    """Evaluate a script of one tune with the abcjs that comes with the composing page."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: apt install nodejs")
    abcjs = ROOT / "python" / "otoscope" / "serve" / "static" / "abcjs" / "abcjs-basic-min.js"
    program = f"""
        const abcjs = require({json.dumps(str(abcjs))});
        const tunes = JSON.parse(require("fs").readFileSync(0));
        console.log(JSON.stringify(tunes.map(tune => {script})));
    """
    text = json.dumps(list(tunes))
    ran = subprocess.run(
        [node, "-e", program],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)


def read_by_abc2midi(abc: str, folder: Path) -> Reading:
    """The notes that abc2midi plays, repeats played."""
    need_abc2midi()
    abc2midi(abc, folder)
    return notes_of_midi((folder / "judged.mid").read_bytes())


def read_by_music21(abc: str) -> Reading:
    """The notes that music21 reads, ties joined, repeats not played."""
    music21 = pytest.importorskip("music21", reason="music21 is not installed: pip install music21")
    read = music21.converter.parse(abc, format="abc")
    notes = read.stripTies().flatten().notes
    return [
        (float(note.offset) / 4, float(note.quarterLength) / 4, pitch.midi)
        for note in notes
        for pitch in note.pitches
    ]


def are_alike(theirs: Reading, ours: Sequence[MidiNote]) -> bool:
    """Whether two readings have the same onsets and durations (to 1/128) and pitches."""
    mine = [(float(note.onset), float(note.duration), note.pitch) for note in ours]
    first, second = (
        sorted(notes, key=lambda note: (round(64 * note[0]), note[2])) for notes in (theirs, mine)
    )
    if not first or len(first) != len(second):
        return len(first) == len(second)
    shift = first[0][0] - second[0][0]
    return all(
        abs(x[0] - y[0] - shift) < 1 / 128 and abs(x[1] - y[1]) < 1 / 128 and x[2] == y[2]
        for x, y in zip(first, second, strict=True)
    )


def tempo_of(content: bytes) -> int:
    """Microseconds a quarter note, of the first tempo event."""
    (track,) = midi_file(content).tracks
    return next(int(message.tempo) for message in track if message.type == "set_tempo")


def agree(ours: Sounding, theirs: Sounding) -> bool:
    """Whether two have the same onsets (to 1/128) and pitches, apart from a transposition."""
    if not ours or len(ours) != len(theirs):
        return False
    start, their_start = ours[0][0], theirs[0][0]
    shift = min(theirs[0][1]) - min(ours[0][1])
    return all(
        abs((onset - start) - (their_onset - their_start)) < 1 / 128
        and {pitch + shift for pitch in pitches} == their_pitches
        for (onset, pitches), (their_onset, their_pitches) in zip(ours, theirs, strict=True)
    )


def bare(lines: Sequence[str]) -> str:
    """The source of a tune without what tokens leave away, by rules of text alone.

    Left are M, L, K, the scope of accidentals and the notes; repeats and endings become bar lines,
    so that each note is played once.
    """
    kept = []
    for line in lines:
        if re.match(r"[A-Za-z]:(?![|:])", line):
            kept += [line.split("%")[0]] if line[0] in "MLK" else []
        elif line.startswith("%%MIDI nobarlines"):
            kept.append(line)
        elif not line.startswith("%"):
            text = re.sub(r'"[^"]*"|%.*|![\w.]+!', "", line)
            text = re.sub(r"\[[^ML]:[^]]*\]|[~THLMOPSuv.$*`!]|\\$", "", text)
            kept.append(once(text))
    return "X:1\n" + "\n".join(line for line in kept if line.strip()) + "\n"


def once(text: str) -> str:
    """Music code without repeats: each mark becomes a bar line."""
    text = re.sub(r"\[\|\]|\[\d[\d,-]*", "", text)
    return re.sub(r"(?::*\[?\|+\]?:*\d*(?:,\d)*)+|::", " | ", text)


def source_of(path: Path, line: int) -> list[str]:
    """The lines of the tune that begins there, to the blank line after its music."""
    content = path.read_bytes()
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        lines = content.decode("latin-1").splitlines()
    tune: list[str] = []
    for text in lines[line - 1 :]:
        is_music = any(x.startswith("K:") for x in tune)
        if tune and (text.startswith("X:") or (is_music and not text.strip())):
            break
        tune.append(text)
    return tune
