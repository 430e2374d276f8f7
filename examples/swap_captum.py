"""Swap captum: why a detector hears singing, by captum's calls and by both libraries' defaults.

    python examples/swap_captum.py
    python examples/swap_captum.py --library captum.attr

Four seconds into the song that comes with the package, ten segments in time, the excerpt's mean
where one is off. The model is a small detector that comes with the package, too, or another by
--model. With --library captum.attr the same calls go to captum, under the same seed.
"""

from __future__ import annotations

import argparse
import time
from importlib import import_module

import torch

import otoscope as oto
from otoscope.data import sample

CALLS = {
    "Lime": {"n_samples": 1000},
    "SoundLIME": {"n_samples": 1024},
    "KernelShap": {"n_samples": 1024},
    "ShapleyValueSampling": {"n_samples": 100},
    "FeatureAblation": {},
}


def main() -> None:
    """Print each method's coefficients, how many are not zero, and its time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", default="otoscope.adapters.captum")
    parser.add_argument("--model", default="synth-singing")
    parser.add_argument("--start", type=float, default=4.0, help="of the excerpt, in seconds")
    chosen = parser.parse_args()
    library = import_module(chosen.library)
    model = oto.models.load(chosen.model).eval()
    picture = model.patch(str(sample().path), start=chosen.start).values[None, None]
    mask = (torch.arange(picture.shape[2]) * 10 // picture.shape[2])[None, None, :, None]
    singing = list(model.output_names).index("singing")
    with torch.no_grad():
        heard = float(model(picture)[0, singing])
    print(f"{chosen.model} hears singing: {heard:.3f}; by {chosen.library}, in thousandths:")
    for name, call in CALLS.items():
        if not hasattr(library, name):
            continue
        torch.manual_seed(0)
        began = time.perf_counter()
        cells = getattr(library, name)(model).attribute(
            picture, target=singing, feature_mask=mask, baselines=picture.mean().item(), **call
        )
        seconds = time.perf_counter() - began
        values = [float(cells[0, 0, mask[0, 0, :, 0] == i][0, 0]) for i in range(10)]
        row = " ".join(f"{round(1000 * value):5}" for value in values)
        print(f"{name:20} {row}   {sum(v != 0 for v in values):2} not 0   {seconds:6.2f} s")


if __name__ == "__main__":
    main()
