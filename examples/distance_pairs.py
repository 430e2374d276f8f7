"""Measure the Frechet distance of pairs that everyone can order: a sanity check of the measure.

    python examples/distance_pairs.py --music DIR DIR --speech DIR --json distances.json

Each DIR is searched for sounds; two of music are two bands. Without them the rows that need them
are left out. Every set has the same number of excerpts, so that all distances have the same bias.
Intervals are 95 %, over random halves of the songs: of the distance of sets of this size.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from otoscope.data import synthesise
from otoscope.metrics import frechet_interval, kernel_distance
from otoscope.records import replacing, to_json, versions
from otoscope.signal import read_audio, write_audio
from otoscope.signal.audio.files import Blocks
from otoscope.workflows.features import FeatureConfig, SoundFeatures

PAIRS = (
    ("synthetic songs", "other parts of them"),
    ("real songs", "other parts of the same"),
    ("real songs", "the same at 8 kHz"),
    ("one band", "the other band"),
    ("real songs", "synthetic songs"),
    ("real songs", "speech"),
    ("real songs", "tones"),
    ("synthetic songs", "tones"),
)


@dataclass(frozen=True, eq=False)
class Sounds:
    """Features of a set of sounds: Tensor [excerpt, column], and the file of each: [excerpt]."""

    rows: Tensor
    file: Tensor

    def drawn(self, n: int, seed: int) -> Sounds:
        order = torch.randperm(len(self.rows), generator=torch.Generator().manual_seed(seed))
        return self.only(order[:n])

    def only(self, which: Tensor) -> Sounds:
        return Sounds(self.rows[which], self.file[which])


@dataclass(frozen=True)
class Row:
    """One pair, measured."""

    first: str
    second: str
    n: int
    frechet: float
    low: float
    high: float
    kernel: float


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--music", nargs="*", type=Path, default=[], metavar="DIR")
    parser.add_argument("--speech", type=Path, metavar="DIR")
    parser.add_argument("--model", default="musicnn-mtt")
    parser.add_argument("--layer", default="logits")
    parser.add_argument("--n", type=int, default=100, help="excerpts of a set")
    parser.add_argument("--songs", type=int, default=8, help="synthetic songs")
    parser.add_argument("--seconds", type=float, default=60.0, help="of a synthetic song")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        sets = measured(asked, Path(folder))
    rows = [compared(*pair, sets, asked.n) for pair in PAIRS if sets.keys() >= {*pair}]
    print("| set | against | Fréchet distance | 95 %, sets of this size | kernel distance |")
    print("|---|---|---|---|---|")
    for row in rows:
        interval = f"{row.low:.3g} to {row.high:.3g}"
        print(f"| {row.first} | {row.second} | {row.frechet:.3g} | {interval} | {row.kernel:.3g} |")
    if asked.json:
        with replacing(asked.json) as draft:
            settings = {
                name: getattr(asked, name) for name in ("model", "layer", "n", "songs", "seconds")
            }
            record = {"settings": settings, "rows": rows, "versions": versions()}
            draft.write_text(to_json(record, indent=1) + "\n")


def measured(asked: argparse.Namespace, folder: Path) -> dict[str, Sounds]:
    """All sets that can be had."""
    features = {
        hop: SoundFeatures(FeatureConfig(asked.model, asked.layer, hop)) for hop in (3.0, 1.0, 0.1)
    }
    for seed in range(asked.songs):
        song = synthesise(seed, seconds=asked.seconds)
        write_audio(folder / f"synth-{seed}.wav", torch.from_numpy(song.mix), sr=song.sr)
        steps = torch.arange(len(song.mix) // 2) // song.sr / 10  # a tenth of an octave a second
        hz = 110 * 2 ** (seed / 4 + steps)
        tone = 0.3 * torch.sin(2 * torch.pi * (hz / song.sr).cumsum(0))
        write_audio(folder / f"tone-{seed}.wav", tone, sr=song.sr)
    made = heard(features[1.0], sorted(folder.glob("synth-*")))
    sets = {
        "synthetic songs": half(made, 0),
        "other parts of them": half(made, 1),
        "tones": heard(features[1.0], sorted(folder.glob("tone-*"))),
    }
    bands = [sorted(path.rglob("song.ogg")) or sounds(path) for path in asked.music]
    songs = [path for band in bands for path in band]
    if songs:
        real = heard(features[3.0], songs)
        sets |= {"real songs": half(real, 0), "other parts of the same": half(real, 1)}
        sets["the same at 8 kHz"] = heard(features[3.0], narrow(songs, folder))
    if len(bands) == 2:
        first = real.file < len(bands[0])
        sets |= {"one band": real.only(first), "the other band": real.only(~first)}
    if asked.speech:
        sets["speech"] = heard(features[0.1], sounds(asked.speech))
    return sets


def heard(features: SoundFeatures, paths: Iterable[Path]) -> Sounds:
    rate = int(features.about["sample_rate"])
    found = [torch.cat(list(features.rows(Blocks(path, sr=rate)))) for path in paths]
    numbers = torch.arange(len(found))
    return Sounds(
        torch.cat(found), numbers.repeat_interleave(torch.tensor([len(rows) for rows in found]))
    )


def half(whole: Sounds, which: int) -> Sounds:
    """Every other ten excerpts: neighbours, which are alike or overlap, stay together."""
    block = torch.arange(len(whole.rows)) // 10
    return whole.only((block % 2 == which).nonzero()[:, 0])


def narrow(paths: Iterable[Path], folder: Path) -> list[Path]:
    made = []
    for number, path in enumerate(paths):
        y, sr = read_audio(path, sr=8000)
        made.append(folder / f"narrow-{number}.wav")
        write_audio(made[-1], y / max(1.0, float(y.abs().max())), sr=sr)
    return made


def sounds(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix in (".wav", ".ogg", ".flac", ".mp3"))


def compared(first: str, second: str, sets: dict[str, Sounds], n: int) -> Row:
    a, b = sets[first].drawn(n, 0), sets[second].drawn(n, 1)
    interval = frechet_interval(a.rows, b.rows, groups=(a.file, b.file))
    return Row(
        first,
        second,
        n,
        interval.value,
        interval.low,
        interval.high,
        float(kernel_distance(a.rows, b.rows)),
    )


if __name__ == "__main__":
    main()
