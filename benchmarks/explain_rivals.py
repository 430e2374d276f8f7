"""Rivals of an explanation: the same coalitions in torch, explainers of others, NumPy of 2017."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from io import StringIO

import numpy as np
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import pairwise_distances
from torch import Tensor

from otoscope.workflows.bench.plain import BATCHES, Plain, Question


def numpy_lime(question: Question, keep: Tensor) -> np.ndarray:
    """SoundLIME as it was written in 2017: one excerpt, masks and copies in NumPy."""
    patch, content = question.values[0].cpu().numpy(), question.content(0).cpu().numpy()
    ids, masks, outputs = question.ids.cpu().numpy(), keep.cpu().numpy(), []
    for first in range(0, len(masks), 128):
        inputs = []
        for mask in masks[first : first + 128]:
            perturbed = patch.copy()
            for segment in np.flatnonzero(~mask):
                perturbed[ids == segment] = content[ids == segment]
            inputs.append(perturbed[None])
        with torch.inference_mode():
            batch = torch.from_numpy(np.stack(inputs)).to(question.values.device)
            outputs.append(question.model(batch)[:, question.target].cpu().numpy())
    distances = pairwise_distances(masks, np.ones((1, masks.shape[1])), metric="cosine").ravel()
    ridge = Ridge(alpha=1).fit(masks, np.concatenate(outputs), np.exp(-(distances**2) / 0.25**2))
    coefficients: np.ndarray = ridge.coef_
    return coefficients


def captum_calls(question: Question, n_samples: int) -> dict[str, Callable[[], object]]:
    """captum's explainers on the first excerpt, at the batch size that a sweep finds fastest."""
    if not find_spec("captum"):
        print("captum is not installed: it is left out")
        return {}
    from captum.attr import KernelShap, Lime, ShapleyValueSampling

    patch, content = question.values[:1, None], question.content(0)[None, None]
    mask = question.ids[:, None].expand(patch.shape[2:])[None, None].contiguous()
    options = {"baselines": content, "feature_mask": mask, "target": question.target}

    def attribute(method: type, **more: object) -> object:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return method(question.model).attribute(patch, **options, **more)

    at_once = {"perturbations_per_eval": captum_batch(partial(attribute, Lime))}
    orders = max(1, n_samples // question.n_segments)
    return {
        "captum Lime": partial(attribute, Lime, n_samples=n_samples, **at_once),
        "captum KernelShap": partial(attribute, KernelShap, n_samples=n_samples, **at_once),
        "captum ShapleyValueSampling": partial(
            attribute, ShapleyValueSampling, n_samples=orders, **at_once
        ),
    }


def captum_batch(lime: Callable[..., object]) -> int:
    """Find captum's fastest number of samples a pass."""
    seconds = {}
    for batch in BATCHES:
        start = time.perf_counter()
        lime(n_samples=128, perturbations_per_eval=batch)
        seconds[batch] = time.perf_counter() - start
    return min(seconds, key=seconds.__getitem__)


def shap_call(question: Question, n_samples: int, plain: Plain) -> dict[str, Callable[[], object]]:
    """shap's KernelExplainer over the segments of the first excerpt; the model as torch is best."""
    if not find_spec("shap"):
        print("shap is not installed: it is left out")
        return {}
    import shap

    outputs = MaskedOutputs(question, plain)
    explainer = shap.KernelExplainer(outputs, np.zeros((1, question.n_segments)))
    everything = np.ones((1, question.n_segments))
    explain = partial(explainer.shap_values, everything, nsamples=n_samples, silent=True)
    return {"shap KernelExplainer": explain}


def lime_call(question: Question, n_samples: int, plain: Plain) -> dict[str, Callable[[], object]]:
    """lime's image explainer on the first excerpt, its values scaled to [0, 1]."""
    if not find_spec("lime"):
        print("lime is not installed: it is left out")
        return {}
    from lime.lime_image import LimeImageExplainer

    values = question.values[0].double().cpu()
    low, span = values.min(), values.max() - values.min()
    image = np.repeat(((values - low) / span).numpy()[..., None], 3, 2)
    segments = question.ids.cpu().numpy()[:, None].repeat(image.shape[1], 1)

    def classify(images: np.ndarray) -> np.ndarray:
        batch = torch.from_numpy(np.stack(list(images))[..., 0]) * span + low
        with torch.inference_mode():
            outputs: Tensor = plain(batch.float()[:, None].to(question.values.device))
        return outputs.cpu().numpy()

    def explain() -> object:
        with redirect_stderr(StringIO()):  # its progress bar
            return LimeImageExplainer(random_state=0).explain_instance(
                image,
                classify,
                labels=[question.target],
                top_labels=None,
                hide_color=None,
                num_samples=n_samples,
                batch_size=plain.batch,
                segmentation_fn=lambda _: segments,
            )

    return {"lime": explain}


@dataclass(frozen=True)
class MaskedOutputs:
    """Outputs for the first excerpt as a function of masks [coalition, segment] in NumPy."""

    question: Question
    plain: Plain

    def __call__(self, masks: np.ndarray) -> np.ndarray:
        """[coalition, segment] -> [coalition]."""
        one = replace(self.question, values=self.question.values[:1])
        keep = torch.from_numpy(np.atleast_2d(masks) > 0.5).to(one.values.device)
        outputs: np.ndarray = one.in_batches(keep, self.plain)[0].double().cpu().numpy()
        return outputs
