"""SoundLIME as it is called: targets, batches, devices, modes, and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso
from torch import Tensor, nn

from otoscope import ops
from otoscope.errors import ParameterError
from otoscope.explain import SoundLIME, content, segments
from otoscope.explain.evaluator import evaluate
from otoscope.explain.query import require_same_device
from otoscope.explain.result import Explanation
from otoscope.protocols import Patch
from otoscope.signal.mel.domain import Domain

quietly = pytest.mark.filterwarnings("ignore::otoscope.explain.FewEffectiveSamples")


def paper_patch(seed: int = 0) -> Patch:
    return Patch(torch.randn(115, 80, generator=torch.Generator().manual_seed(seed)))


def linear(seed: int, n: int) -> tuple[Callable[[Tensor], Tensor], list[float]]:
    """A model that adds up the frames of an n-frame patch with random weights."""
    weight = torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return lambda batch: batch[:, 0].sum(2) @ weight + 0.7, weight.tolist()


class Tagger(nn.Module):
    """Three named outputs of a patch, counting its passes."""

    output_names = ("speech", "singing", "music")

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(6, 3)
        self.drop = nn.Dropout(0.5)
        self.passes: list[int] = []

    def forward(self, batch: Tensor) -> Tensor:
        self.passes.append(len(batch))
        outputs: Tensor = self.drop(self.dense(batch[:, 0].mean(2)))
        return outputs


def explainer(model: Callable[[Tensor], Tensor], **options: object) -> SoundLIME:
    return SoundLIME(model, segments=segments.temporal(6), content=0.0, **options)  # type: ignore[arg-type]


def test_several_targets_come_from_one_table() -> None:
    model, patch = Tagger().eval(), Patch(torch.ones(6, 2))
    both = explainer(model, target=["singing", 0], shared=False).explain(patch)
    assert both.passes == 64
    assert sum(model.passes) == 64 + 2 + 4  # to see that outputs do not depend on the batch
    assert both.targets == ("singing", "speech")
    for name, column in (("singing", 1), ("speech", 0)):
        alone = explainer(model, target=name, shared=False).explain(patch)
        shown = both[name]
        assert torch.equal(alone.outputs[:, 0], both.outputs[:, both.targets.index(name)])
        np.testing.assert_allclose(shown.coefficients, alone.coefficients, rtol=0, atol=1e-12)
        quicker = explainer(model, target=name).explain(patch)  # float32 sums in another order
        np.testing.assert_allclose(quicker.coefficients, alone.coefficients, rtol=0, atol=1e-6)
        weight = model.dense.weight[column].detach().double()
        np.testing.assert_allclose(shown.coefficients, weight, atol=1e-6)  # float32 outputs
    with pytest.raises(ParameterError, match="target is 'music', explained were singing, speech"):
        both["music"]


def test_batches_equal_patches_one_by_one() -> None:
    model = Tagger().eval()
    batch = torch.randn(3, 6, 2, generator=torch.Generator().manual_seed(1))
    lime = explainer(model, target="music")
    wanted = [lime.explain(Patch(values)).coefficients for values in batch]
    for several in (batch, batch[:, None], list(batch), [Patch(values) for values in batch]):
        found = lime.explain(several)
        assert isinstance(found, list)
        for explanation, coefficients in zip(found, wanted, strict=True):
            torch.testing.assert_close(explanation.coefficients, coefficients)
    single = lime.explain(batch[0])
    assert isinstance(single, Explanation)


@pytest.mark.parametrize("max_batch", [1, 5, 64, 1000])
def test_max_batch_bounds_the_batch_and_changes_nothing(max_batch: int) -> None:
    model, patch = Tagger().eval(), Patch(torch.ones(6, 2))
    wanted = explainer(model, target=1).explain(patch)
    model.passes.clear()
    found = explainer(model, target=1, max_batch=max_batch, shared=False).explain(patch)
    assert max(model.passes) == min(max_batch, 64)
    torch.testing.assert_close(found.outputs, wanted.outputs, rtol=0, atol=1e-6)  # float32 sums
    assert f"batches of {max_batch}" in found.plan


@pytest.mark.parametrize("max_batch", [1, 7, 512])
@quietly
def test_fresh_noise_differs_by_sample_and_not_by_batch(max_batch: int) -> None:
    patch = paper_patch()
    lime = SoundLIME(
        lambda batch: batch.mean((1, 2, 3)),
        segments=segments.temporal(2),
        content="fresh_noise",
        design="bernoulli",
        n_samples=40,
        max_batch=max_batch,
    )
    explanation = lime.explain(patch)
    assert explanation.n_coalitions == 40  # coalitions repeat, their noise does not
    off = explanation.outputs[~explanation.keep.any(1), 0]
    assert len(off.unique()) == len(off) > 3
    lime = SoundLIME(
        lambda batch: batch.mean((1, 2, 3)),
        segments=segments.temporal(2),
        content="fresh_noise",
        design="bernoulli",
        n_samples=40,
    )
    torch.testing.assert_close(lime.explain(patch).outputs, explanation.outputs)


@quietly
def test_fresh_noise_does_not_depend_on_the_other_patches() -> None:
    patches = torch.randn(2, 8, 3, generator=torch.Generator().manual_seed(0))
    lime = SoundLIME(
        lambda batch: batch.mean((1, 2, 3)), segments=segments.temporal(4), content="fresh_noise"
    )
    together, alone = lime.explain(patches), lime.explain(Patch(patches[1]))
    assert isinstance(together, list)
    assert torch.equal(together[1].outputs, alone.outputs)


@quietly
def test_effective_samples_are_of_distinct_coalitions_with_fresh_noise_too() -> None:
    found = [
        SoundLIME(
            lambda batch: batch.mean((1, 2, 3)),
            segments=segments.temporal(3),
            content=occluded,
            design="bernoulli",
            kernel="l2",
            n_samples=500,
        ).explain(paper_patch())
        for occluded in ("zero", "fresh_noise")
    ]
    assert [explanation.passes for explanation in found] == [8, 500]
    folded, repeated = (explanation.effective_samples for explanation in found)
    assert repeated == pytest.approx(folded)
    assert repeated < 1.01  # over the 500 rows it would read about 60


@pytest.mark.parametrize("max_batch", [1, 3])
def test_noise_begins_where_its_stream_is_told_to(max_batch: int) -> None:
    rows, ids = ops.coalitions(2, "exact"), ops.SegmentMap(torch.tensor([[0], [1]]))

    def drawn(first_sample: int, coalitions: ops.Coalitions) -> Tensor:
        batches = evaluate(
            lambda batch: batch[:, 0, :, 0],
            torch.zeros(2, 1),
            ops.Noise(5, first_sample=first_sample),
            ids,
            coalitions,
            max_batch=max_batch,
        )
        return torch.cat(list(batches))

    assert torch.equal(drawn(2, rows[2:]), drawn(0, rows)[2:])


def test_train_mode_is_left_and_restored() -> None:
    model = Tagger()
    model.dense.eval()
    explanation = explainer(model, target=0).explain(Patch(torch.ones(6, 2)))
    assert (model.training, model.dense.training, model.drop.training) == (True, False, True)
    assert "train mode" in explanation.plan
    again = explainer(model, target=0).explain(Patch(torch.ones(6, 2)))
    assert torch.equal(again.outputs, explanation.outputs)  # dropout was off


def test_model_of_another_floating_type_is_served() -> None:
    model = Tagger().eval().double()
    found = explainer(model, target=0).explain(Patch(torch.ones(6, 2)))
    assert found.outputs.dtype == torch.float64


def test_constant_output_is_explained_by_nothing() -> None:
    explanation = explainer(lambda batch: torch.full((len(batch),), 0.1)).explain(
        Patch(torch.ones(6, 2))
    )
    np.testing.assert_allclose(explanation.coefficients, 0, atol=1e-14)
    assert explanation.r2 == 1
    assert explanation.shapley is not None
    np.testing.assert_allclose(explanation.shapley, 0, atol=1e-14)


def test_the_models_domain_standardises_for_a_bare_tensor() -> None:
    class Domesticated(nn.Module):
        domain = Domain(torch.tensor([-8.0, -8.0]), torch.tensor([2.0, 4.0]))

        def forward(self, batch: Tensor) -> Tensor:
            return batch[:, 0, :, 1].mean(1)

    explanation = SoundLIME(
        Domesticated(), segments=segments.temporal(3), content="silence", kernel_width=1.0
    ).explain(Patch(torch.zeros(3, 2)))
    assert explanation.output_none == pytest.approx((math.log(1e-7) + 8) / 4, rel=1e-6)


def test_one_segment_and_one_cell() -> None:
    explanation = SoundLIME(
        lambda batch: 2 * batch[:, 0, 0], segments=segments.temporal(1), content=1.0
    ).explain(Patch(torch.tensor([[3.0]])))
    assert explanation.coefficients.tolist() == pytest.approx([4.0])
    assert explanation.shapley is not None
    assert explanation.shapley.tolist() == pytest.approx([4.0])


def test_errors_say_what_came_and_what_to_do() -> None:
    patch = Patch(torch.ones(6, 2))
    tagger = Tagger().eval()
    with pytest.raises(ParameterError, match=r"2\^20 = 1,048,576 passes"):
        SoundLIME(tagger, segments=segments.temporal(20), content=0.0, target=0).explain(
            Patch(torch.ones(40, 2))
        )
    with pytest.raises(ParameterError, match="9 segments for 6 frames"):
        SoundLIME(tagger, segments=segments.temporal(9), content=0.0, target=0).explain(patch)
    with pytest.raises(ParameterError, match=r"3 outputs \(speech, singing, music\)"):
        explainer(tagger).explain(patch)
    with pytest.raises(ParameterError, match="did you mean 'singing'"):
        explainer(tagger, target="sining").explain(patch)
    with pytest.raises(ParameterError, match=r"target is 3, must be in 0\.\.2"):
        explainer(tagger, target=3).explain(patch)
    with pytest.raises(ParameterError, match=r"target is 1\.5; give an output's name or index"):
        explainer(tagger, target=1.5).explain(patch)
    with pytest.raises(ParameterError, match=r"target is None; give an output's name or index"):
        explainer(tagger, target=[None]).explain(patch)
    with pytest.raises(ParameterError, match="target is an empty list"):
        explainer(tagger, target=[]).explain(patch)
    with pytest.raises(ParameterError, match="on cpu, the patch on meta"):
        require_same_device(tagger, torch.ones(1, device="meta"))
    with pytest.raises(ParameterError, match=r"returned a dict, must be a Tensor"):
        explainer(lambda batch: {}).explain(patch)  # type: ignore[arg-type,return-value]
    with pytest.raises(ParameterError, match=r"shape \(8, 1, 6, 2\) for a batch of 8"):
        explainer(lambda batch: batch).explain(patch)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        *((given, r"patch is .*, must be a Patch, .* or a sound: a file") for given in (None, 3)),
        *((given, r"song\.ogg is not there") for given in ("song.ogg", Path("song.ogg"))),
        (["song.ogg"], r"song\.ogg is not there"),
    ],
)
def test_what_is_no_patch_is_refused_with_the_way_to_one(given: object, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        explainer(Tagger(), target=0).explain(given)  # type: ignore[call-overload]


def test_segments_beside_components_are_refused() -> None:
    network = torch.nn.Linear(100, 1)
    with pytest.raises(ParameterError, match=r"'temporal:10' beside components.*leave out seg"):
        SoundLIME(network, segments="temporal:10", components="time:5")
    lime = SoundLIME(network, components="time:5", content="silence")
    with pytest.raises(ParameterError, match="segments is 'spectral:4' beside components"):
        lime.varied(segments="spectral:4")
    assert str(lime.varied(components="time:4").components) == "time(4)"


def test_no_patches_have_no_explanations() -> None:
    assert explainer(Tagger(), target=0).explain([]) == []
    assert explainer(Tagger(), target=0).explain(torch.ones(0, 6, 2)) == []


def test_by_default_as_on_the_command_line() -> None:
    patch = Patch((torch.arange(20.0) == 15)[:, None] * torch.ones(20, 3))
    lime = SoundLIME(lambda batch: batch[:, 0, 15].mean(1))
    assert (lime.settings.segments, lime.settings.content) == ("temporal(10)", "mean_inp")
    again = SoundLIME(lime.model, segments="temporal:10", content="mean_inp")
    assert torch.equal(lime.explain(patch).outputs, again.explain(patch).outputs)
    assert lime.explain(patch).top(1) == [7]


def test_output_that_is_not_finite_is_named() -> None:
    def log_of_the_third(batch: Tensor) -> Tensor:
        return batch[:, 0, 2, 0].log()

    with pytest.raises(
        ParameterError, match=r"'output 0' is -inf for the excerpt with every segment replaced"
    ):
        explainer(log_of_the_third).explain(Patch(torch.ones(6, 2)))


@pytest.mark.parametrize("shared", [True, False])
def test_untouched_excerpt_is_named_where_its_output_is_not_finite(shared: bool) -> None:
    """Not a coalition, however many of these are NaN too."""

    class Broken(torch.nn.Module):
        def __init__(self, lost: tuple[float, ...]) -> None:
            super().__init__()
            self.lost = torch.tensor(lost)

        def forward(self, batch: Tensor) -> Tensor:
            n = batch.flatten(1).sum(1, keepdim=True)
            return torch.where(torch.isin(n, self.lost), torch.nan, n)

    def refused(*lost: float) -> str:
        lime = SoundLIME(Broken(lost), segments="temporal:3", content=0.0, shared=shared)
        with pytest.raises(ParameterError) as caught:
            lime.explain(Patch(torch.ones(3, 1)))
        return str(caught.value)

    as_it_is = "'output 0' is nan for the excerpt as it is, with nothing occluded: check the model"
    for lost in ((3.0,), (0.0, 1.0, 2.0, 3.0), (1.0, 3.0)):
        assert as_it_is in refused(*lost)
    assert "for the excerpt with every segment replaced; each coalition" in refused(0.0)
    assert "for the excerpt with time 0 alone; each coalition" in refused(1.0)
    assert "for the excerpt without time 2; each coalition" in refused(2.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"design": "all"}, "design is 'all'"),
        ({"alpha": -1.0}, "alpha is -1"),
        ({"alpha": 1.0, "surrogate": Lasso()}, "beside a surrogate"),
        ({"alpha": 1.0, "design": "kernelshap"}, "takes no alpha and no surrogate"),
        ({"kernel": "l1"}, "kernel is 'l1'"),
        ({"kernel_width": 0.0}, "kernel_width is 0"),
        ({"max_batch": 0}, "max_batch is 0"),
    ],
)
def test_bad_settings_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        explainer(Tagger(), **options)


def test_label_map_is_a_segmentation() -> None:
    labels = torch.tensor([[0, 0], [1, 1], [1, 0]])
    lime = SoundLIME(
        lambda batch: batch[:, 0, 1].sum(1),
        segments=labels,
        content=content.zero(),
        kernel_width=2.0,
        design="leave_one_out",
    )
    assert lime.explain(Patch(torch.ones(3, 2))).coefficients.tolist() == pytest.approx([0, 2])


def test_names_must_be_as_many_as_outputs() -> None:
    class Misnamed(nn.Module):
        output_names = ("a", "b")

        def forward(self, batch: Tensor) -> Tensor:
            return batch.mean((1, 2, 3))

    with pytest.raises(ParameterError, match="names 2 outputs and returns 1"):
        explainer(Misnamed()).explain(Patch(torch.ones(6, 2)))
