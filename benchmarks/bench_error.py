"""Error against time: estimators of captum, shap and shapiq at growing numbers of evaluations.

Each estimator is compared with the exact value of what it estimates: captum's Lime with the
weighted least squares of all coalitions under its kernel, the others with the Shapley values. The
error is the largest over the segments, relative to the largest value; the median over seeds, from
a table of all outputs. The case of an estimator is the smallest number of evaluations whose error
is within 1 %, or the largest tried. "ours" is `SoundLIME.explain`, which gives both without error;
it is timed beside the estimator at `TIMED` evaluations of the model as torch runs it best, and
`times_as_long` is that ratio for the evaluations needed.

    python benchmarks/bench_error.py [--device cpu|cuda] [--quick]
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from command import run
from explain_rivals import MaskedOutputs
from otoscope.errors import require_extra
from otoscope.explain import Explanation
from otoscope.models import SVDNet
from otoscope.workflows.bench.plain import Question, fastest
from timing import Case, compare, ratio

WITHIN = 0.01
WIDTH = 0.25  # of the kernel, over the cosine distance
TIMED = 512
_SHAPIQ = ("KernelSHAP", "UnbiasedKernelSHAP", "PermutationSamplingSV", "SVARM")


@dataclass(frozen=True)
class Sizes:
    """Numbers of evaluations to try, seeds of each, and segments."""

    samples: tuple[int, ...]
    seeds: int
    segments: int


class Table(nn.Module):
    """A model of one excerpt that looks its outputs up by the segments that are kept."""

    def __init__(self, question: Question, keep: Tensor, outputs: Tensor) -> None:
        super().__init__()
        n = question.n_segments
        self.first = torch.tensor([int((question.ids == s).nonzero()[0]) for s in range(n)])
        self.values = question.values[0, self.first, 0]
        self.powers = 2 ** torch.arange(n)
        self.outputs = torch.empty(2**n, outputs.shape[1])
        self.outputs[(keep.long() @ self.powers)] = outputs.float()

    def of(self, keep: Tensor) -> Tensor:
        """[coalition, segment] -> [coalition, output]."""
        return self.outputs[keep.long() @ self.powers]

    def forward(self, x: Tensor) -> Tensor:
        """[batch, 1, frame, mel] -> [batch, output]."""
        return self.of(x[:, 0, self.first, 0] == self.values)

    def masked(self, masks: np.ndarray, target: int) -> np.ndarray:
        """Outputs of a target for masks in NumPy."""
        keep = torch.from_numpy(np.atleast_2d(masks) > 0.5)
        outputs: np.ndarray = self.of(keep)[:, target].double().numpy()
        return outputs


Game = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Estimator:
    """A method: from a model, a function of masks, a number of evaluations and a seed."""

    name: str
    exact: Tensor
    estimate: Callable[[nn.Module, Game, int, int], Tensor]  # -> [segment]


def estimators(question: Question, explanation: Explanation) -> Iterator[Estimator]:
    """Yield the estimators for a question, and what each estimates."""
    attr: Any = require_extra("captum.attr", "captum")
    regression: Any = require_extra("captum._utils.models.linear_model", "captum")
    shap, shapiq = (require_extra(name, "bench") for name in ("shap", "shapiq"))
    patch, content = question.values[:1, None], question.content(0)[None, None]
    mask = question.ids[:, None].expand(patch.shape[2:])[None, None].contiguous()
    n_segments = question.n_segments
    first = torch.tensor([int((question.ids == s).nonzero()[0]) for s in range(n_segments)])
    options = {"baselines": content, "feature_mask": mask, "target": question.target}
    assert explanation.shapley is not None
    shapley = explanation.shapley.double().cpu()

    def kernel(_: Tensor, __: Tensor, kept: Tensor, **_options: object) -> float:
        n_kept = kept.double().mean()
        return float(torch.exp(-((1 - n_kept.sqrt()) ** 2) / WIDTH**2))

    def captum(
        make: Callable[[nn.Module], Any], each: int, model: nn.Module, _: Game, n: int, seed: int
    ) -> Tensor:
        torch.manual_seed(seed)
        with torch.no_grad():
            attribution = make(model).attribute(
                patch, n_samples=max(1, n // each), perturbations_per_eval=64, **options
            )
        values: Tensor = attribution[0, 0, first, 0].double().cpu()
        return values

    def kernel_explainer(_: nn.Module, game: Game, n: int, seed: int) -> Tensor:
        np.random.seed(seed)  # noqa: NPY002 - shap has no other
        explainer = shap.KernelExplainer(game, np.zeros((1, n_segments)))
        values = explainer.shap_values(np.ones((1, n_segments)), nsamples=n, silent=True)
        return torch.as_tensor(np.asarray(values)).reshape(n_segments)

    def approximate(name: str, _: nn.Module, game: Game, n: int, seed: int) -> Tensor:
        method = getattr(shapiq, name)
        values = method(n=n_segments, random_state=seed).approximate(n, game)
        return torch.tensor([values[(s,)] for s in range(n_segments)])

    def lime(model: nn.Module) -> Any:
        return attr.Lime(model, regression.SkLearnLinearRegression(), kernel)

    yield Estimator("captum Lime", least_squares(explanation), partial(captum, lime, 1))
    yield Estimator("captum KernelShap", shapley, partial(captum, attr.KernelShap, 1))
    orders = partial(captum, attr.ShapleyValueSampling, n_segments)
    yield Estimator("captum ShapleyValueSampling", shapley, orders)
    yield Estimator("shap KernelExplainer", shapley, kernel_explainer)
    for name in _SHAPIQ:
        yield Estimator(f"shapiq {name}", shapley, partial(approximate, name))


def least_squares(explanation: Explanation) -> Tensor:
    """Fit all coalitions but the empty one, weighted by the kernel, as captum's samples tend to."""
    keep = explanation.keep.double().cpu()
    weights = torch.exp(-((1 - keep.mean(1).sqrt()) ** 2) / WIDTH**2).sqrt()[:, None]
    design = torch.cat([keep, torch.ones(len(keep), 1, dtype=torch.float64)], 1)
    outputs = explanation.outputs[:, :1].double().cpu()
    fitted: Tensor = torch.linalg.lstsq(design * weights, outputs * weights).solution[:-1, 0]
    return fitted


def error(estimator: Estimator, model: nn.Module, game: Game, n: int, seeds: int) -> float:
    """Median over seeds of the largest error, relative to the largest exact value."""
    errors = []
    for seed in range(seeds):
        off = (estimator.estimate(model, game, n, seed) - estimator.exact).abs().max()
        errors.append(float(off / estimator.exact.abs().max()))
    return statistics.median(errors)


def cases(device: str, sizes: Sizes) -> Iterator[Case]:
    """Search, for each estimator, the number of evaluations that suffices; time it beside ours."""
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    net = SVDNet().eval().to(device)
    values = torch.randn(1, 115, 80, generator=torch.Generator().manual_seed(0)).to(device)
    question = Question(f"SVDNet, {sizes.segments} segments", net, values, sizes.segments)
    lime = question.lime
    first = lime.explain(values)
    explanation = first if isinstance(first, Explanation) else first[0]
    keep = explanation.keep
    plain, _ = fastest(question, keep.to(device), compiled=device == "cpu")
    on_cpu = replace(question, values=values.cpu())
    table = Table(on_cpu, keep.cpu(), explanation.outputs.cpu())
    of_masks = partial(table.masked, target=question.target)
    looked_up = {estimator.name: estimator for estimator in estimators(on_cpu, explanation)}
    timed = min(TIMED, sizes.samples[-1])
    for estimator in estimators(question, explanation):
        curve: dict[int, float] = {}
        for n in sizes.samples:
            curve[n] = error(looked_up[estimator.name], table, of_masks, n, sizes.seeds)
            if curve[n] <= WITHIN:
                break
        once = partial(estimator.estimate, net, MaskedOutputs(question, plain), timed, 0)
        calls: dict[str, Callable[[], object]] = {"ours": partial(lime.explain, values)}
        calls[estimator.name] = once
        timings = compare(calls, device=device, repeats=3, warmup=0)
        longer = ratio(timings[estimator.name], timings["ours"]) * n / timed
        reached = "within 1 %" if curve[n] <= WITHIN else f"{curve[n]:.1%} off"
        name = f"{estimator.name}, {timed} evaluations; {reached} at {n}: {longer:.3g} x ours"
        parameters = {
            "error": {str(k): v for k, v in curve.items()},
            "evaluations": n,
            "timed_evaluations": timed,
            "times_as_long": longer,
        }
        yield Case(name, parameters, timings)


if __name__ == "__main__":
    full = Sizes(tuple(2**power for power in range(6, 15, 2)), 3, 10)
    run("error", __doc__, cases, {"cpu": full, "cuda": full, "quick": Sizes((16, 64), 2, 4)})
