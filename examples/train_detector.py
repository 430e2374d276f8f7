"""Train the small singing-voice detector that comes with the package.

    otoscope corpus singing --out corpus --n 60 --seed 1
    python examples/train_detector.py corpus     # about six minutes on one core

Voices and bands of our synthesiser and of the corpus are mixed with each other at random, so that
neither gives the other away. Writes python/otoscope/models/bundles/synth-singing.{safetensors,json}
with a card that says how well it does on songs that it was not trained on.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import Tensor

from otoscope import records
from otoscope.data.singing import synthesise
from otoscope.data.songs import sample, sample_names
from otoscope.data.synthesis.song import Song, frame_truth, mix_stems
from otoscope.models.bundle import save_bundle
from otoscope.models.listener import Listener
from otoscope.models.svdnet import SVDNet
from otoscope.models.timelines import timeline
from otoscope.signal import svd2015
from otoscope.signal.audio.files import read_audio

BUNDLE = Path(__file__).parents[1] / "python/otoscope/models/bundles/synth-singing"
FRONT_END = svd2015()
FRAME_RATE = FRONT_END.sample_rate / FRONT_END.hop_length
OFFSET = FRONT_END.n_fft / 2 / FRONT_END.sample_rate  # frames are not centred
LENGTH = 115  # frames of an excerpt
SECONDS = 10


@dataclass(frozen=True)
class Training:
    """Settings; synthetic songs that are held out have the seeds from 1000 on."""

    n_synthetic: int = 200
    n_bands: int = 2
    n_held_out: int = 30
    n_steps: int = 2500
    batch: int = 32
    rate: float = 1e-3
    seed: int = 0


def stems(corpus: Path, n_synthetic: int) -> list[Song]:
    """Make songs up, and read those of the corpus: ten seconds of each."""
    found = [synthesise(seed, seconds=SECONDS) for seed in range(n_synthetic)]
    n_samples = SECONDS * FRONT_END.sample_rate
    for record in records.read(corpus / "manifest.jsonl"):
        voice, backing = (
            read_audio(corpus / record["files"][stem])[0][:n_samples].numpy()
            for stem in ("voice", "backing")
        )
        sung = tuple((start, end) for start, end in record["sung"])
        found.append(Song(voice, backing, FRONT_END.sample_rate, sung, record["snr_db"]))
    return found


def heard(songs: list[Song], settings: Training) -> tuple[Tensor, Tensor]:
    """Mix each voice with random bands: log-mel [mix, frame, mel] and truth [mix, frame]."""
    rng = np.random.default_rng(settings.seed)
    seen, truth = [], []
    for voice in songs * settings.n_bands:
        band = songs[rng.integers(len(songs))]
        snr_db = float(rng.uniform(-3.0, 12.0))
        song = mix_stems(voice.voice, band.backing, sr=voice.sr, sung=voice.sung, snr_db=snr_db)
        seen.append(FRONT_END.log_mel(torch.from_numpy(song.mix)))
        truth.append(frame_truth(song.sung, len(seen[-1]), FRAME_RATE, offset=OFFSET))
    return torch.stack(seen), torch.from_numpy(np.stack(truth))


def filtered(log_mel: Tensor, generator: torch.Generator) -> Tensor:
    """Pass excerpts [batch, frame, mel] through a random Gaussian filter and gain each.

    Schlueter and Grill (2015), section 4: up to 10 dB around a random centre; our gain, up to
    10 dB too, replaces their training data's own variety of levels.
    """
    centre, width, height, gain = torch.rand(4, len(log_mel), 1, 1, generator=generator)
    mel = torch.arange(log_mel.shape[-1])
    bump = torch.exp(-0.5 * ((mel - 80 * centre) / (4 + 12 * width)) ** 2)
    db = 20 * (height - 0.5) * bump + 20 * (gain - 0.5)
    louder: Tensor = log_mel + db * (math.log(10) / 20)
    return louder.clamp(min=FRONT_END.compression.silence)


def train(songs: list[Song], settings: Training) -> Listener:
    """Fit a quarter-width network to excerpts around random frames."""
    generator = torch.Generator().manual_seed(settings.seed)
    log_mel, truth = heard(songs, settings)
    excerpts = log_mel.unfold(1, LENGTH, 1).mT  # [song, first frame, frame, mel], a view
    model = Listener(
        SVDNet(shrink=4, seed=settings.seed),
        FRONT_END,
        mean=log_mel.flatten(0, 1).mean(0),
        std=log_mel.flatten(0, 1).std(0),
        patch_frames=LENGTH,
        output_names=["singing"],
    )
    optimiser = torch.optim.Adam(model.parameters(), settings.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.n_steps)
    model.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster
    torch.manual_seed(settings.seed)  # dropout draws from the global generator
    for step in range(settings.n_steps):
        which = torch.randint(excerpts.shape[0], (settings.batch,), generator=generator)
        first = torch.randint(excerpts.shape[1], (settings.batch,), generator=generator)
        values = model.domain.values(filtered(excerpts[which, first], generator))
        target = 0.02 + 0.96 * truth[which, first + LENGTH // 2].float()
        loss = F.binary_cross_entropy(model(values[:, None])[:, 0], target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step}  loss {loss.item():.3f}", flush=True)
    return model.eval()


def auc(model: Listener, y: Tensor, sung: tuple[tuple[float, float], ...]) -> float:
    """Return the frame-wise area under the curve on one song."""
    p = timeline(model, y, hop=7, padded=True).outputs[:, 0]
    truth = frame_truth(sung, len(p), FRAME_RATE / 7, offset=OFFSET)
    return float(roc_auc_score(truth, p))


def check(model: Listener, settings: Training) -> dict[str, str]:
    """Return mean areas under the curve on songs that were not trained on, as text for the card."""
    seeds = range(1000, 1000 + settings.n_held_out)
    found = {}
    for snr_db in (0.0, 6.0):
        held_out = [synthesise(seed, snr_db=snr_db) for seed in seeds]
        areas = [auc(model, torch.from_numpy(song.mix), song.sung) for song in held_out]
        found[f"AUC, held-out synthetic songs, {snr_db:g} dB"] = f"{np.mean(areas):.3f}"
    for name in sample_names():
        y, _ = read_audio(sample(name).path, sr=FRONT_END.sample_rate)
        found[f"AUC, sampled song {name!r}"] = f"{auc(model, y, sample(name).sung):.3f}"
    return found


def main() -> None:
    """Train, check, write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path, help="folder of a corpus of sung songs")
    parser.add_argument("--out", type=Path, default=BUNDLE, help="bundle, without ending")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = Training()
    songs = stems(arguments.corpus, settings.n_synthetic)
    model = train(songs, settings)
    card = {
        "what": "Probability that the middle of 1.64 s of sound is sung",
        "licence": "Apache-2.0",
        "trained on": f"{settings.n_synthetic} voices and bands of otoscope's own synthesiser and "
        f"{len(songs) - settings.n_synthetic} of sinsy, mma and fluidsynth, mixed with each other, "
        "voice -3 to 12 dB over the band; the sampled voice is NIT SONG070 F001 (Nagoya Institute "
        "of Technology, CC-BY 3.0)",
        "network": "SVDNet (Schlueter and Grill, 2015) at a quarter of its widths",
        "limits": "Made for demonstrations and tests: two synthetic singers, no recorded song. "
        "The sampled songs of the package have the same singer as its training songs, other "
        "melodies and other instruments.",
        **check(model, settings),
    }
    print(*(f"{key}: {value}" for key, value in card.items()), sep="\n")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    save_bundle(arguments.out, model, card=card)


if __name__ == "__main__":
    main()
