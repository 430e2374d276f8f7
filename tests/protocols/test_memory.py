"""What is kept is a copy: code of users may write into what it gives and what it gets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from otoscope import Patch, SoundLIME, WaveformPGD
from otoscope.adapters import captum
from otoscope.explain import segments as segmentations
from otoscope.explain.content import Content
from otoscope.explain.maximise import find_extremes
from otoscope.intervene import SoundIntervention
from otoscope.models.given import GivenFrontEnd
from otoscope.protocols import call_model

SHAPE = (12, 4)
PICTURE = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0)) + 0.5
WEIGHTS = torch.linspace(-1, 1, 48).double()
OPTIONS: Any = {"segments": "temporal:3", "content": 0.0, "max_batch": 3}
LAYERS = (torch.arange(12) // 4)[:, None].expand(SHAPE)[None, None]


def total(x: Tensor) -> Tensor:
    return (x.flatten(1).double() @ WEIGHTS)[:, None]


class Reusing:
    """Writes its outputs into the same memory at each call."""

    def __init__(self) -> None:
        self.outputs = torch.zeros(64, 1, dtype=torch.float64)

    def __call__(self, x: Tensor) -> Any:
        self.outputs[: len(x)] = total(x)
        return self.outputs[: len(x)]


def writing(x: Tensor) -> Tensor:
    return total(x.mul_(2))


def as_array() -> Callable[[Tensor], Any]:
    model = Reusing()
    return lambda x: model(x).numpy()


def as_dictionary() -> Callable[[Tensor], Any]:
    model = Reusing()
    return lambda x: {"logits": model(x)}


MODELS: dict[str, tuple[Callable[[], Callable[[Tensor], Any]], float]] = {
    "outputs in one tensor": (Reusing, 1),
    "outputs in one array": (as_array, 1),
    "outputs in one dictionary": (as_dictionary, 1),
    "inputs written": (lambda: writing, 2),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_may_reuse_memory(name: str) -> None:
    make, factor = MODELS[name]
    right: Any = SoundLIME(total, **OPTIONS).explain(PICTURE)
    explanation: Any = SoundLIME(make(), **OPTIONS).explain(PICTURE)
    torch.testing.assert_close(explanation.shapley, factor * right.shapley)
    model = make()
    first = call_model(model, torch.ones(2, 1, *SHAPE))
    before = first.clone()
    call_model(model, torch.zeros(2, 1, *SHAPE))
    assert torch.equal(first, before)


@pytest.mark.parametrize("per_eval", [1, 4])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "method", ["FeatureAblation", "ShapleyValues", "ShapleyValueSampling", "KernelShap", "Lime"]
)
def test_so_may_forward_functions_of_captum(method: str, name: str, per_eval: int) -> None:
    make, factor = MODELS[name]
    x = PICTURE[None, None].clone()
    baseline = torch.full((1, 1, *SHAPE), 0.25)

    def attribute(forward: Callable[[Tensor], Any], scale: float = 1) -> Tensor:
        torch.manual_seed(0)
        explainer = getattr(captum, method)(lambda batch: torch.as_tensor(_logits(forward(batch))))
        more = {"n_samples": 20} if method in ("KernelShap", "Lime") else {}
        attributions: Tensor = explainer.attribute(
            x, baseline, 0, feature_mask=LAYERS, perturbations_per_eval=per_eval, **more
        )
        return attributions

    right = attribute(lambda batch: factor * total(batch))
    torch.testing.assert_close(attribute(make()), right)
    assert torch.equal(x[0, 0], PICTURE)
    assert bool((baseline == 0.25).all())


def _logits(answer: Any) -> Any:
    return answer["logits"] if isinstance(answer, dict) else answer


def _write(patch: Patch, ids: Tensor) -> Tensor:
    return patch.values.zero_()


def _write_and_cut(patch: Patch) -> Any:
    patch.values.zero_()
    return segmentations.temporal(3)(patch)


def _one_memory() -> Callable[[Patch, Tensor], Tensor]:
    kept = torch.zeros(SHAPE)
    return lambda patch, ids: kept.copy_((patch.values.mean() * 0).expand(SHAPE))


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "content that writes": lambda: {"content": Content("own", _write)},
    "content of one memory": lambda: {"content": Content("own", _one_memory())},
    "segments that write": lambda: {"segments": _write_and_cut},
}


@pytest.mark.parametrize("part", PARTS)
def test_contents_and_segmentations_may_write(part: str) -> None:
    pictures = torch.stack([PICTURE, 2 * PICTURE])
    right: Any = SoundLIME(total, **OPTIONS).explain(pictures)
    explanations: Any = SoundLIME(total, **{**OPTIONS, **PARTS[part]()}).explain(pictures)
    for a, b in zip(explanations, right, strict=True):
        torch.testing.assert_close(a.shapley, b.shapley)
        assert torch.equal(a.patch.values, b.patch.values)


@pytest.mark.parametrize("kind", ["tensor", "array"])
def test_callers_may_reuse_their_arrays(kind: str) -> None:
    values: Any = torch.zeros(SHAPE) if kind == "tensor" else np.zeros(SHAPE, np.float32)
    y: Any = torch.zeros(1200) if kind == "tensor" else np.zeros(1200, np.float32)
    content = torch.zeros(SHAPE)
    lime = SoundLIME(total, **{**OPTIONS, "content": content})
    kept = []
    for factor in (1, 2):
        values[:] = factor * (PICTURE if kind == "tensor" else PICTURE.numpy())
        y[:] = factor
        patch = Patch(values, y=y, sr=8000, hop_length=100)
        explanation: Any = lime.explain(values)
        kept.append((factor, patch, explanation))
        content.fill_(7)
    for factor, patch, explanation in kept:
        assert torch.equal(patch.values, factor * PICTURE)
        assert torch.equal(explanation.patch.values, factor * PICTURE)
        assert patch.y is not None
        assert bool((patch.y == factor).all())
        torch.testing.assert_close(explanation.shapley, factor * kept[0][2].shapley)


def test_extremes_of_a_loader_that_reuses_its_memory() -> None:
    def load() -> Iterator[Tensor]:
        item = torch.zeros(4, 4)
        for number in range(5):
            yield item.fill_(number)

    extremes = find_extremes(lambda x: x.mean((1, 2)), load(), 2, max_batch=3)
    assert [float(excerpt.patch.mean()) for excerpt in extremes.excerpts] == [4.0, 3.0]  # type: ignore[union-attr]


@dataclasses.dataclass(frozen=True)
class Louder(SoundIntervention):
    """Writes into its input."""

    gain: float = 2.0
    label_preserving: bool = dataclasses.field(default=True, kw_only=True)
    name: ClassVar[str] = "louder"
    unit: ClassVar[str] = "x"

    @property
    def bounds(self) -> tuple[float, float]:
        return 0.0, 10.0

    def _transform(self, source: Any) -> Tensor:
        changed: Tensor = source.y.mul_(self.gain)
        return changed


def test_interventions_may_write() -> None:
    y = torch.ones(80)
    assert float((Louder(2.0) | Louder(3.0)).render(y, 8000).max()) == 6.0
    assert float(Louder(2.0).render(y, 8000).max()) == 2.0
    assert float(y.max()) == 1.0


def test_an_adversary_keeps_its_original() -> None:
    net = nn.Linear(64, 2)
    x = torch.linspace(-0.5, 0.5, 64)[None]
    before = x.clone()
    attack = WaveformPGD(net, steps=2, transforms=[lambda row, generator: row.mul_(0.5)])
    result = attack.run(x, torch.tensor([0]))
    assert torch.equal(x, before)
    x.zero_()
    assert torch.equal(result.original.reshape(1, -1), before)


def test_front_ends_may_reuse_memory() -> None:
    kept = np.zeros((1000, 4))

    def levels(y: Tensor) -> Any:
        n = len(y) // 100
        kept[:n] = y[: 100 * n].reshape(n, 100).mean(1)[:, None]
        return kept[:n]

    front_end = GivenFrontEnd(levels, sample_rate=8000, hop_length=100)
    quiet, loud = (front_end.log_mel(torch.full((1000,), level)) for level in (0.25, 0.5))
    assert (float(quiet.mean()), float(loud.mean())) == (0.25, 0.5)
