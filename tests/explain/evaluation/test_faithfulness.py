"""Faithfulness against its definitions, and against Quantus on the same perturbations."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.explain import Explanation, SoundLIME, explanation_report
from otoscope.explain.evaluation import faithfulness, read_attribution
from otoscope.protocols import Patch

FRAMES, MELS = 12, 4


class Net(nn.Module):
    """A small network of two outputs in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(0)
        self.flat = nn.Flatten()
        self.hidden, self.last = nn.Linear(FRAMES * MELS, 8), nn.Linear(8, 2)
        for weight in self.parameters():
            nn.init.normal_(weight, std=0.4, generator=random)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.hidden(self.flat(x)).tanh()).sigmoid()
        return y


@pytest.fixture(scope="module")
def net() -> Net:
    return Net().eval()


@pytest.fixture(scope="module")
def patch() -> Patch:
    return Patch(torch.randn(FRAMES, MELS, generator=torch.Generator().manual_seed(1)))


def lime_of(net: nn.Module, n: int = 6, **settings: Any) -> SoundLIME:
    return SoundLIME(net, segments=f"temporal:{n}", content=0.0, target=1, **settings)


def output(net: nn.Module, patch: Patch, kept: set[int], n: int = 6) -> float:
    """Return the output with only some of n equal segments, the others 0."""
    values = patch.values.clone().reshape(n, -1)
    values[[i for i in range(n) if i not in kept]] = 0
    with torch.no_grad():
        return float(net(values.reshape(1, 1, FRAMES, MELS))[0, 1])


@pytest.mark.parametrize("design", ["exact", "leave_one_out"])
@pytest.mark.filterwarnings("ignore::otoscope.explain.FewEffectiveSamples")
def test_measures_are_their_definitions(net: Net, patch: Patch, design: str) -> None:
    lime = lime_of(net, design=design)
    explanation = lime.explain(patch)
    a = torch.tensor([0.5, -0.2, 0.9, 0.01, 0.3, -0.6], dtype=torch.float64)
    ours = faithfulness(lime, explanation, a, subset_size=2)
    order, every = [2, 0, 4, 3, 1, 5], set(range(6))
    deletion = [output(net, patch, every - set(order[:k])) for k in range(7)]
    insertion = [output(net, patch, set(order[:k])) for k in range(7)]
    assert ours.deletion == pytest.approx(deletion, abs=1e-6)
    assert ours.insertion == pytest.approx(insertion, abs=1e-6)
    assert ours.deletion_auc == pytest.approx(np.trapezoid(deletion) / 6, abs=1e-6)
    pairs = list(combinations(range(6), 2))
    falls = [deletion[0] - output(net, patch, every - set(pair)) for pair in pairs]
    sums = [float(a[list(pair)].sum()) for pair in pairs]
    assert ours.correlation == pytest.approx(np.corrcoef(sums, falls)[0, 1], abs=1e-5)
    assert ours.named == (2, 0, 4)  # 0.01 is below a twentieth of 0.9
    whole, alone = deletion[0], output(net, patch, {0, 2, 4})
    assert ours.drop == pytest.approx(max(whole - alone, 0) / whole, abs=1e-6)
    assert ours.gain == pytest.approx(max(alone - whole, 0) / (1 - whole), abs=1e-6)
    assert ours.increase == (alone > whole)
    assert ours.fidelity == pytest.approx(whole - output(net, patch, {1, 3, 5}), abs=1e-6)
    assert (ours.passes == 0) == (design == "exact")


@pytest.mark.slow  # its import takes seconds
def test_equal_to_quantus_on_the_same_perturbations(net: Net, patch: Patch) -> None:
    quantus = pytest.importorskip("quantus", reason="quantus is not installed (extra 'bench')")
    n, size = FRAMES * MELS, 5
    a = torch.randn(n, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    ids = torch.arange(n).reshape(FRAMES, MELS).int()
    lime = SoundLIME(net, segments=ids, content=0.0, target=1, design="leave_one_out")
    explanation = lime.explain(patch)
    np.random.seed(4)  # noqa: NPY002 - Quantus draws from NumPy's global generator
    subsets = [np.random.choice(n, size, False).tolist() for _ in range(30)]  # noqa: NPY002
    ours = faithfulness(lime, explanation, a, subsets=subsets)
    call = {
        "model": net,
        "x_batch": patch.values.numpy()[None, None],
        "y_batch": np.array([1]),
        "a_batch": a.reshape(1, 1, FRAMES, MELS).numpy(),
        "softmax": False,
        "device": "cpu",
    }
    quiet = {"disable_warnings": True, "display_progressbar": False}
    flipping = quantus.PixelFlipping(
        features_in_step=1, perturb_baseline=0.0, normalise=False, abs=False, **quiet
    )(**call)[0]
    assert ours.deletion[1:] == pytest.approx(flipping, abs=1e-6)
    np.random.seed(4)  # noqa: NPY002
    correlation = quantus.FaithfulnessCorrelation(
        nr_runs=30, subset_size=size, perturb_baseline=0.0, normalise=False, abs=False, **quiet
    )(**call)[0]
    assert ours.correlation == pytest.approx(correlation, abs=1e-5)


def test_attributions_from_elsewhere_are_read(net: Net, patch: Patch, tmp_path: Path) -> None:
    explanation = lime_of(net).explain(patch)
    cells = np.arange(FRAMES * MELS, dtype=float).reshape(FRAMES, MELS)
    means = cells.reshape(6, -1).mean(1)
    np.save(tmp_path / "a.npy", cells)
    np.savez(tmp_path / "a.npz", map=cells)
    np.savetxt(tmp_path / "a.csv", cells, delimiter=",")
    for given in (cells, tmp_path / "a.npy", str(tmp_path / "a.npz"), tmp_path / "a.csv"):
        read = read_attribution(given, explanation)
        assert read.segments.tolist() == pytest.approx(means)
        assert read.cells.tolist() == cells.tolist()
    assert read_attribution(cells.mean(1), explanation).segments.tolist() == pytest.approx(means)
    assert read_attribution(means, explanation).cells[3, 0] == means[1]
    assert read_attribution(None, explanation).segments is explanation.coefficients
    with pytest.raises(
        ParameterError, match=r"shape \(5,\), must be one number per segment \(6,\)"
    ):
        read_attribution(np.ones(5), explanation)
    with pytest.raises(ParameterError, match="not finite"):
        read_attribution(np.full(6, np.nan), explanation)
    with pytest.raises(ParameterError, match=r"none.npy is not there"):
        read_attribution(tmp_path / "none.npy", explanation)
    (tmp_path / "a.pkl").touch()
    with pytest.raises(ParameterError, match="of another kind than"):
        read_attribution(tmp_path / "a.pkl", explanation)
    np.savez(tmp_path / "two.npz", a=cells, b=cells)
    with pytest.raises(ParameterError, match="has arrays a, b, must have one"):
        read_attribution(tmp_path / "two.npz", explanation)


def test_wrong_sizes_are_refused(net: Net, patch: Patch) -> None:
    lime = lime_of(net)
    explanation = lime.explain(patch)
    with pytest.raises(ParameterError, match=r"subset_size is 7, must be in 1..6"):
        faithfulness(lime, explanation, subset_size=7)
    with pytest.raises(ParameterError, match=r"attribution has shape \(5,\)"):
        faithfulness(lime, explanation, torch.ones(5))
    with pytest.raises(ParameterError, match=r"keep is torch\.bool"):
        lime.outputs(patch, torch.ones(1, 5, dtype=torch.bool))


def test_outputs_of_given_coalitions_draw_none(net: Net, patch: Patch) -> None:
    lime = SoundLIME(net, segments="grid:12x4", content=0.0, target=1)  # 2^48 coalitions
    keep = torch.rand(5, 48, generator=torch.Generator().manual_seed(2)) < 0.5
    pictures = patch.values * keep.reshape(5, FRAMES, MELS)
    with torch.no_grad():
        expected = net(pictures[:, None])[:, 1].double()
    torch.testing.assert_close(lime.outputs(patch, keep)[:, 0], expected, rtol=0, atol=1e-6)
    assert lime.settings.design == "exact"


def test_report_measures_all_at_once(net: Net, patch: Patch) -> None:
    lime = lime_of(net)
    truth = torch.zeros(FRAMES, dtype=torch.bool)
    truth[4:6] = True
    report = explanation_report(lime, patch, truth=truth, with_weights=True)
    record = report.to_record()
    assert record["stability"]["seeds"] == pytest.approx(1)  # all coalitions: no chance
    assert list(record["weights"]) == ["last", "hidden"]
    assert set(record["localisation"]) == {"roc_auc", "relaxed_auc", "iou", "pointing_game"}
    planted = np.zeros((FRAMES, MELS))
    planted[4:6] = 1
    elsewhere = explanation_report(
        lime, lime.explain(patch), attribution=planted, truth=truth, tolerance=0
    )
    assert elsewhere.localisation == {
        "roc_auc": 1.0, "relaxed_auc": 1.0, "iou": 1.0, "pointing_game": 1.0
    }  # fmt: skip
    assert elsewhere.stability is None
    assert elsewhere.faithfulness.named == (2,)
    with pytest.raises(ParameterError, match="the truth is int64"):
        explanation_report(lime, patch, truth=torch.ones(FRAMES).long())
    with pytest.raises(ParameterError, match="does not know its own"):
        explanation_report(lime, patch, truth=[(0.0, 1.0)])


def test_truth_in_seconds_is_the_frames_whose_centres_it_holds(net: Net) -> None:
    timed = Patch(torch.ones(FRAMES, MELS), y=torch.ones(120), sr=10, hop_length=10, start=5.0)
    report = explanation_report(
        lime_of(net), timed, attribution=np.eye(6)[1], truth=[(7.2, 8.9)], with_stability=False
    )
    assert report.localisation["roc_auc"] == 1.0  # frames 2 and 3 begin at 7 and 8 s


def test_explanations_of_sounds_are_measured() -> None:
    lime = SoundLIME(
        lambda y: (y[:, 600:].abs().mean(1, keepdim=True) / 2).clamp(0, 1),
        components="time:2,0",
        content=0.0,
        design="leave_one_out",
    )
    sound = (torch.ones(1000), 1000)
    ours = explanation_report(lime, sound, with_stability=True).faithfulness
    assert ours.deletion == pytest.approx((0.5, 0.0, 0.0))
    assert ours.passes == 1  # the coalition of no component


def test_explanation_is_a_class_that_is_not_recomputed(net: Net, patch: Patch) -> None:
    explanation = lime_of(net).explain(patch)
    assert isinstance(explanation, Explanation)
    assert faithfulness(lime_of(net), explanation).passes == 0
