"""Make the bundle of a generator that `otoscope train prior` trained, with a card of its quality.

    python examples/bundle_prior.py prior varied held-out test --out prior-synth \\
        --steps N --critic-steps N --trained-on TEXT --limits TEXT

Distances are those of 1,000 samples to 1,000 excerpts of test, sounds by which the generator was
neither trained nor chosen, by means and deviations in cells (which need no model) and by the layer
fc8 of `svdnet-synth`; beside them those of held-out, by which it was chosen ("real").
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from otoscope import models, records
from otoscope.train.prior import TrainPriorConfig, read_excerpts, sounds_of
from otoscope.train.prior.learner import summaries
from otoscope.train.prior.training import quality_of


def of_layer(model: models.Listener, layer: str) -> Callable[[Tensor], Tensor]:
    """Return a layer's features of log-mel excerpts as a function."""
    tap = model.tap(layer)

    def feature(excerpts: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([tap(model.domain.values(part)) for part in excerpts.split(32)])

    return feature


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("training", type=Path, help="folder of otoscope train prior")
    parser.add_argument("sounds", type=Path)
    parser.add_argument("held_out", type=Path, help="by which the generator was chosen")
    parser.add_argument("test", type=Path, help="others")
    parser.add_argument("--steps", type=int, required=True, help="steps until the best generator")
    parser.add_argument("--critic-steps", type=int, required=True, help="for each of these")
    parser.add_argument("--trained-on", required=True)
    parser.add_argument("--limits", required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    generator = models.load_generator(arguments.training / "model")
    settings, detector = TrainPriorConfig(), models.load("svdnet-synth")
    train, chosen, test = (
        read_excerpts(sounds_of([place]), generator.front_end, 115, seconds=settings.seconds)
        for place in (arguments.sounds, arguments.held_out, arguments.test)
    )
    quality = {
        name: quality_of(generator, train, chosen, test, settings, feature)
        for name, feature in (("cells", summaries), ("fc8", of_layer(detector, "fc8")))
    }
    shown = {
        name: ", ".join(f"{row} {d['frechet']:.3g} ({d['kernel']:.3g})" for row, d in rows.items())
        for name, rows in quality.items()
    }
    shrink = generator.network.shrink
    size = sum(parameter.numel() for parameter in generator.network.parameters())
    card = {
        "what": "Log-mel excerpts of 115 frames and 80 bands, made of 128 numbers of N(0, 1): the "
        "prior of otoscope maximise for models with the front end of Schlueter and Grill",
        "licence": "Apache-2.0",
        "network": f"MelGenerator (Mishra et al., 2019) with widths divided by {shrink}, "
        f"{size:,} parameters; weights averaged over about 1,000 steps",
        "trained on": arguments.trained_on,
        "steps": f"{arguments.steps} of the generator, {arguments.critic_steps} of the critic for "
        "each, batches of 16; the authors made 1.17 million with a network of full width",
        "quality": f"Frechet (kernel) distance to songs that chose nothing: by cells, "
        f"{shown['cells']}; by fc8 of svdnet-synth, {shown['fc8']}",
        "limits": arguments.limits,
    }
    models.save_generator(arguments.out, replace(generator, card=card), half=True)
    print(records.to_json(quality, indent=2))


if __name__ == "__main__":
    main()
