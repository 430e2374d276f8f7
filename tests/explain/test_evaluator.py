"""When the forward pass is shared, what is said of it, and that nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from otoscope import ops
from otoscope.errors import ParameterError
from otoscope.explain import Explanation, SoundLIME, segments
from otoscope.explain.evaluator import Evaluator
from otoscope.explain.shared import SharedForward
from otoscope.protocols import Patch, choose_targets, model_name
from tests.support.networks import FRAMES, MELS, Net, other_networks, prepared, segment_maps

assert_close = partial(torch.testing.assert_close, rtol=1e-3, atol=1e-5)  # of float32


def small(outputs: int = 2) -> nn.Sequential:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, outputs)
    )
    return net.eval()


def patches(n: int = 1) -> Tensor:
    return torch.randn(n, FRAMES, MELS, generator=torch.Generator().manual_seed(0))


def lime(model: Callable[[Tensor], Tensor], **options: object) -> SoundLIME:
    given = {"segments": segments.temporal(5), "content": "mean_inp", "target": 0, **options}
    return SoundLIME(model, **given)  # type: ignore[arg-type]


def one(found: Explanation | list[Explanation]) -> Explanation:
    assert isinstance(found, Explanation)
    return found


def test_shared_and_plain_give_the_same_explanation() -> None:
    net, patch = small(), patches()[0]
    shared, plain = one(lime(net).explain(patch)), one(lime(net, shared=False).explain(patch))
    assert_close(shared.outputs, plain.outputs)
    assert_close(shared.shapley, plain.shapley)
    assert shared.plan.startswith("shared forward pass: all 5 operations for the work of ")
    assert plain.plan == "plain batches of 8: 32 passes"


def test_excerpts_contents_and_targets_are_asked_together(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    honest = SharedForward.__call__

    def counted(self: SharedForward, inputs: Tensor, *rest: Tensor) -> Tensor:
        calls.append(len(inputs))
        return honest(self, inputs, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(SharedForward, "__call__", counted)
    net, several = small(3), patches(6)
    together = lime(net, target=[0, 2]).explain(several)
    assert calls == [4, 2]
    assert isinstance(together, list)
    for explanation, patch in zip(together, several, strict=True):
        alone = one(lime(net, target=[0, 2], shared=False).explain(patch))
        assert_close(explanation.outputs, alone.outputs)


def test_many_coalitions_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    net, patch = small(), patches()[0]
    whole = one(lime(net).explain(patch))
    monkeypatch.setattr("otoscope.explain.evaluator._COALITIONS", 7)
    assert_close(one(lime(net).explain(patch)).outputs, whole.outputs)


def test_functions_are_not_shared_unless_asked() -> None:
    net, patch = small(), patches()[0]
    model = lambda batch: net(batch)  # noqa: E731
    assert one(lime(model).explain(patch)).plan.startswith("plain batches")
    assert one(lime(model, shared=True).explain(patch)).plan.startswith("shared forward pass")


def test_samples_that_depend_on_each_other_are_evaluated_alone() -> None:
    told = "; the outputs for a coalition depend on the others of its batch"
    early = Net(lambda n, x: (x - x.mean(0)).sum((1, 2, 3))).eval()
    with pytest.warns(UserWarning, match="each is evaluated alone"):
        plan = one(lime(early).explain(patches()[0])).plan
    assert plan == f"plain batches of 1: 64 passes; mean mixes samples{told}"
    late = Net(lambda n, x: (x.cumsum(2).exp() - x.cumsum(2).exp().mean(0)).sum((1, 2, 3))).eval()
    with pytest.warns(UserWarning, match="each is evaluated alone"):
        plan = one(lime(late).explain(patches()[0])).plan
    assert plan == f"plain batches of 1: 64 passes; samples of a batch depend on each other{told}"
    with pytest.raises(ParameterError, match="the model returned shape"):
        lime(Net(lambda n, x: x.mean())).explain(patches()[0])


def test_few_inputs_are_not_worth_a_trace() -> None:
    few = {"design": "leave_one_out"}
    assert one(lime(small(), **few).explain(patches()[0])).plan.startswith("plain batches")
    explanation = one(lime(small(), shared=True, **few).explain(patches()[0]))
    assert explanation.plan.startswith("shared forward pass")
    together = lime(small(), **few).explain(patches(6))
    assert isinstance(together, list)
    assert together[0].plan.startswith("shared forward pass")


def test_fresh_noise_is_not_shared() -> None:
    explanation = one(lime(small(), content="fresh_noise").explain(patches()[0]))
    assert explanation.plan.startswith("plain batches")


def test_what_cannot_be_traced_is_evaluated_plainly_and_says_why() -> None:
    branches = Net(lambda n, x: x.sum((1, 2, 3)) if x.mean() > 0 else x.amax((1, 2, 3)))
    explanation = one(lime(branches).explain(patches()[0]))
    assert explanation.plan.startswith("plain batches of 8")
    assert "cannot be traced: its control flow depends on data" in explanation.plan


def test_passes_are_those_of_the_work() -> None:
    """Sharing saves work in the convolution, not in the GRU."""
    n_frames, n_bands = patches()[0].shape

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.early = nn.Conv2d(1, 4, (3, 3), padding=(1, 0))
            self.late = nn.GRU(4 * (n_bands - 2), 6, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            sound = self.early(x).transpose(1, 2).flatten(2)
            last: Tensor = self.late(sound)[0][:, -1, :1]
            return last

    net, patch = Recurrent().eval(), patches()[0]
    early = one(lime(nn.Sequential(net.early, nn.Flatten()), target=0).explain(patch))
    assert early.n_coalitions == 32
    assert 2 < early.passes < 12
    of_early = n_frames * (n_bands - 2) * 4 * 9  # multiplications: 4 kernels of 3 x 3
    of_late = n_frames * 3 * 6 * (4 * (n_bands - 2) + 6)  # 3 gates of 6, of input and state
    expected = (early.passes * of_early + 32 * of_late) / (of_early + of_late)
    whole = one(lime(net).explain(patch))
    assert whole.passes == pytest.approx(expected)
    assert early.passes < expected < 32
    assert one(lime(net, shared=False).explain(patch)).passes == 32
    checked = one(lime(nn.Sequential(net.early, nn.Flatten()), target=0, verify=6).explain(patch))
    assert checked.passes == pytest.approx(early.passes + 6)


def test_plan_says_from_where_on_samples_go_one_by_one() -> None:
    net = prepared(other_networks()["recurrence"], torch.float32)
    plan = one(lime(net).explain(patches()[0])).plan
    assert "shared forward pass: 4 of 8 operations for the work of" in plan
    assert plan.endswith("then plain batches of 8, because gru needs whole samples")


def _in_place(net: nn.Sequential) -> None:
    with torch.no_grad():
        net[0].weight.mul_(2)  # type: ignore[operator]


def _replaced(net: nn.Sequential) -> None:
    net[4] = nn.Linear(4, 2)


def _hooked(net: nn.Sequential) -> None:
    net[1].register_forward_hook(lambda module, inputs, output: output * 3)


def _loaded(net: nn.Sequential) -> None:
    net.load_state_dict({name: value + 1 for name, value in net.state_dict().items()})


def _set(net: nn.Sequential) -> None:
    net[0].stride = (2, 2)  # type: ignore[assignment]


def _patched(net: nn.Sequential) -> None:
    net[1].forward = torch.tanh


def _swapped(net: nn.Sequential) -> None:
    net[1] = nn.Tanh()


@pytest.mark.parametrize(
    "change", [_in_place, _replaced, _hooked, _loaded, _set, _patched, _swapped]
)
def test_a_model_may_change_between_explanations(change: Callable[[nn.Sequential], None]) -> None:
    net, patch = small(), patches()[0]
    explainer = lime(net)
    before = one(explainer.explain(patch)).outputs
    change(net)
    after = one(explainer.explain(patch)).outputs
    assert not torch.equal(before, after)
    assert_close(after, one(lime(net, shared=False).explain(patch)).outputs)


class _Scaled(nn.Module):
    """Multiplies by what it finds in its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.settings, self.stages = torch.tensor(2.0), {"gain": 1.0}, [1.0]

    def forward(self, x: Tensor) -> Tensor:
        """[batch, 1, frame, mel] -> [batch]."""
        return x.mean((1, 2, 3)) * self.scale * self.settings["gain"] * self.stages[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda net: setattr(net, "scale", torch.tensor(5.0)),
        lambda net: net.settings.update(gain=3.0),
        lambda net: net.stages.append(net.stages.pop() + 1),
    ],
)
def test_attributes_may_change_between_explanations(change: Callable[[_Scaled], None]) -> None:
    net, patch = _Scaled(), patches()[0]
    explainer = lime(net)
    explainer.explain(patch)
    change(net)
    plain = one(lime(net, shared=False).explain(patch))
    assert_close(one(explainer.explain(patch)).outputs, plain.outputs)


def test_verified_coalitions_are_counted() -> None:
    plan = one(lime(small(), verify=6).explain(patches()[0])).plan
    assert "; 6 coalitions checked, off by at most " in plan


def test_a_wrong_shared_pass_is_noticed_and_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = SharedForward.__call__
    monkeypatch.setattr(
        SharedForward, "__call__", lambda self, *args: honest(self, *args) + 0.1 * torch.rand(())
    )
    with pytest.warns(UserWarning, match="was off by .*; plain batches are used"):
        explanation = one(lime(small(), verify=4).explain(patches()[0]))
    wanted = one(lime(small(), shared=False).explain(patches()[0]))
    assert explanation.outputs.shape == wanted.outputs.shape
    assert explanation.plan.startswith("plain batches")


@pytest.mark.parametrize("half", [slice(None, 16), slice(16, None)])
def test_coalitions_are_verified_wherever_they_are(
    half: slice, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = SharedForward.__call__

    def wrong(self: SharedForward, inputs: Tensor, *rest: Tensor) -> Tensor:
        outputs = honest(self, inputs, *rest)  # type: ignore[arg-type]
        for rows in outputs:
            rows[half] += 1
        return outputs

    monkeypatch.setattr(SharedForward, "__call__", wrong)
    with pytest.warns(UserWarning, match="was off by"):
        lime(small(), verify=6).explain(patches()[0])


def test_train_mode_is_left_for_the_shared_pass_and_restored() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(), nn.Flatten())
    net.append(nn.Linear(2 * 27 * 22, 1)).train()
    explanation = one(lime(net, target=None).explain(patches()[0]))
    assert net.training
    assert explanation.plan.startswith("shared forward pass")
    assert explanation.plan.endswith(
        "the model was in train mode, eval mode was used, the mode restored"
    )


def test_nan_of_a_coalition_is_named() -> None:
    net = Net(lambda n, x: x.mean((1, 2, 3)).log()[:, None])
    with pytest.raises(ParameterError, match="is nan for the excerpt with every segment"):
        lime(net, content=-1.0).explain(torch.ones(FRAMES, MELS))


def test_wrong_outputs_get_the_same_error_as_plainly() -> None:
    for function in (lambda n, x: x * 1, lambda n, x: {"a": x, "b": x}):
        for choice in (True, False):
            with pytest.raises(ParameterError, match="the model returned"):
                lime(Net(function), shared=choice).explain(patches()[0])  # type: ignore[arg-type]


def test_no_outputs_of_half_a_batch_are_lost() -> None:
    """Eleven coalitions in plain batches of eight."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GroupNorm(1, 2), nn.Flatten()).eval()
    keep = ops.coalitions(5, "bernoulli", 11)
    cut = ops.SegmentMap(segment_maps()["temporal"])
    contents = torch.zeros(2, FRAMES, MELS)
    tables = [
        Evaluator(net, shared=choice)(patches(2), contents, cut, keep)[0]
        for choice in (True, False)
    ]
    assert tables[0].shape[:2] == (2, 11)
    assert_close(*tables)


def top_of(model: Callable[[Tensor], Tensor]) -> list[int]:
    explainer = SoundLIME(model, segments=segments.temporal(4), content=0.0)
    return explainer.explain(Patch(torch.ones(8, 3))).top()


def test_numpy_is_fine_inside_and_outside() -> None:
    def inside(batch: Tensor) -> Tensor:
        return torch.as_tensor(np.asarray(batch)[:, 0, 2:4].mean((1, 2)))

    def outside(batch: Tensor) -> Tensor:
        return inside(batch).numpy()  # type: ignore[return-value]

    assert top_of(inside) == top_of(outside) == [1]


@pytest.mark.parametrize("kind", ["module", "function"])
def test_a_model_that_fails_is_told_with_what_it_was_given(kind: str) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(7, 1))
    model = net if kind == "module" else lambda batch: net(batch)
    with pytest.raises(
        ParameterError, match=r"given \[8, 1, 8, 3\] = \[batch, 1, frame, mel\] and raised Runtime"
    ) as raised:
        top_of(model)
    assert isinstance(raised.value.__cause__, RuntimeError)


def test_an_interrupt_is_no_failure_of_the_model() -> None:
    def model(batch: Tensor) -> Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        top_of(model)


def test_name_of_a_model_is_its_own_its_functions_or_its_classs() -> None:
    net = nn.Flatten()
    assert model_name(net) == "Flatten"
    net.name = "detector"  # type: ignore[assignment]
    assert model_name(net) == "detector"
    net.name = 3  # type: ignore[assignment]
    assert model_name(net) == "Flatten"
    assert model_name(top_of) == "top_of"


def test_an_unknown_output_of_a_model_without_names_tells_how_to_name_them() -> None:
    with pytest.raises(ParameterError, match=r"set model\.output_names = \[\.\.\.\]"):
        choose_targets("speech", 2)
    with pytest.raises(ParameterError, match=r"no such output; did you mean 'singing'\? it has .*"):
        choose_targets("sing", 2, ["singing", "drums"])
