"""An interrogation over tempo: clips of 10 s, rendered at 17 doses and judged by a small model.

What is rendered is counted: clips x doses x 10 s. Two processes render; "one process" is the same
with one, which judges too. The rival "stretcher" reads the clips and stretches them at the same
doses, in one process: its share of what one process takes could not be saved. The peak is
that of this process, which renders as well where it is the only one.

    python benchmarks/bench_interrogate.py [--device cpu|cuda] [--quick]
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from command import run
from otoscope.data import DanceRecipe, plan_dance, render_dance
from otoscope.intervene import Interrogation, InterrogationSettings, Tempo
from otoscope.signal import read_audio, svd2015, write_audio
from timing import Case, compare

SECONDS = 10.0


@dataclass(frozen=True)
class Sizes:
    """Sizes of a run."""

    clips: int
    doses: tuple[float, ...]
    workers: int


_DOSES = tuple(float(dose) for dose in range(-8, 9))  # 0, the unchanged clip, among them
_FULL = Sizes(200, _DOSES, workers=2)
SIZES = {"cpu": _FULL, "cuda": _FULL, "quick": Sizes(16, (-6.0, 0.0, 6.0), workers=2)}


class SmallModel(nn.Module):
    """Log-mel, two convolutions and a mean over time: sounds to eight styles."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        super().__init__()
        self.front_end, self.output_names = svd2015(), classes
        self.sample_rate = self.front_end.sample_rate
        self.network = nn.Sequential(
            nn.Conv1d(80, 32, 5), nn.ReLU(), nn.Conv1d(32, 32, 5), nn.AdaptiveAvgPool1d(1)
        )
        self.last = nn.Linear(32, len(classes))

    def forward(self, sounds: Tensor) -> Tensor:
        """Score sounds [item, sample]."""
        log_mel = self.front_end.log_mel(sounds.to(self.last.weight.device))
        scores: Tensor = self.last(self.network(log_mel.mT).squeeze(-1))
        return scores


def cases(device: str, sizes: Sizes) -> Iterator[Case]:
    """Run everything on a device; the stretcher is on the CPU in any case."""
    with TemporaryDirectory() as folder:
        yield from _cases(device, sizes, Path(folder))


def _cases(device: str, sizes: Sizes, folder: Path) -> Iterator[Case]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    recipe = DanceRecipe(seconds=SECONDS * 1.09)
    clips = plan_dance(sizes.clips, recipe=recipe)
    files = [folder / f"{i}.wav" for i in range(len(clips))]
    for clip, file in zip(clips, files, strict=True):
        write_audio(file, torch.from_numpy(render_dance(clip, recipe)), sr=recipe.sr)
    labels = [clip.style for clip in clips]
    model = SmallModel(tuple(sorted(set(labels)))).to(device).eval()
    doses = [dose for dose in sizes.doses if dose]
    settings = InterrogationSettings(duration=SECONDS)

    def interrogate(workers: int) -> None:
        with_workers = replace(settings, workers=workers)
        interrogation = Interrogation(model, files, labels, settings=with_workers)
        interrogation.run([_WithoutPlacebo(8)], doses={"tempo": doses})

    def stretch() -> None:
        for y, sr in map(read_audio, files):
            for dose in doses:
                Tempo(dose).render(y, sr, duration=SECONDS)

    timings = compare(
        {
            "ours": partial(interrogate, sizes.workers),
            "ours, one process": partial(interrogate, 1),
            "stretcher": stretch,
        },
        device=device,
        repeats=1,
        warmup=0,
    )
    whole, alone = timings["ours, one process"].median_s, timings["stretcher"].median_s
    facts = {
        "clips": sizes.clips,
        "doses": len(sizes.doses),
        "workers": sizes.workers,
        "threads": 1,
        "times_real_time": sizes.clips * len(sizes.doses) * SECONDS / timings["ours"].median_s,
        "stretcher_share": alone / whole,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    size = f"{sizes.clips} clips x {len(sizes.doses)} doses x {SECONDS:g} s"
    yield Case(f"{size}, processes that render {sizes.workers}", facts, timings, None)


@dataclass(frozen=True)
class _WithoutPlacebo(Tempo):
    """Tempo, one rendering a dose."""

    def placebo(self) -> Any:
        """None: nothing is rendered but the doses."""


def main() -> None:
    """Measure, and write the results."""
    run("interrogate", __doc__, cases, SIZES)


if __name__ == "__main__":
    main()
