"""A system of any kind is asked for labels, and what it says is checked."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.intervene.interrogation.labeller import Labeller
from otoscope.models import load
from otoscope.protocols import SoundClassifier
from tests.support.listeners import Mean


@pytest.mark.parametrize(
    "answer",
    [
        ["a", "b"],
        ("a", "b"),
        np.array(["a", "b"]),
        torch.tensor([[0.9, 0.1], [0.2, 0.8]]),
        np.array([[3, 1], [0, 1]]),
        torch.tensor([[9, 1], [2, 8]]),
    ],
)
def test_labels_and_scores_are_understood(answer: Any) -> None:
    assert Labeller(lambda _: answer, classes=["a", "b"])(torch.zeros(2, 4)) == ["a", "b"]


def test_what_a_system_raises_is_told_with_its_place() -> None:
    def broken(sounds: Tensor) -> Tensor:
        return sounds @ torch.zeros(3)

    message = r"predict was given \[2, 4\] and raised RuntimeError: .* \(test_labeller.py, line "
    with pytest.raises(ParameterError, match=message) as caught:
        Labeller(broken)(torch.zeros(2, 4))
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_numbers_are_labels_too() -> None:
    judge = Labeller(lambda rows: np.array([1, 0]), labels=map(str, [0, 1]))
    assert judge(torch.zeros(2, 4)) == ["1", "0"]
    assert Labeller(lambda rows: [1, 0])(torch.zeros(2, 4)) == ["1", "0"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (["a"], "predict returned 1 answers to 2 items"),
        (["a", "b", "a"], "predict returned 3 answers to 2 items"),
        (["a", "c"], r"predict answered 'c', which is not among the labels \(a, b\)"),
        (["a", ""], "predict returned an empty label"),
        ("ab", "predict returned 'ab', must be one label per item, or scores"),
        (None, "predict returned None, must be one label per item"),
        (torch.zeros(2), r"predict returned shape \(2,\), must be \[item, 2\]: a, b"),
        (
            torch.zeros(2, 3),
            r"predict returned shape \(2, 3\).* b; name all its columns.* classes=",
        ),
        (np.zeros((2, 2, 2)), r"predict returned shape \(2, 2, 2\)"),
        (torch.zeros(1, 2), "predict returned 1 answers to 2 items"),
        (torch.full((2, 2), float("nan")), "NaN or infinite"),
        (torch.tensor([[0, torch.inf], [0, 0]]), "NaN or infinite"),
    ],
)
def test_what_is_no_answer_is_refused(answer: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Labeller(lambda _: answer, classes=["a", "b"])(torch.zeros(2, 4))


def test_scores_without_names_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"scores of shape \(2, 2\); name their columns"):
        Labeller(lambda _: torch.zeros(2, 2), labels=["a", "b"])(torch.zeros(2, 4))


def test_a_label_that_can_never_be_said_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"label 'c' is none of the system's answers \(a, b\)"):
        Labeller(lambda _: [], classes=("a", "b"), labels=["a", "c"])


class Loud(nn.Module):
    """Scores by the peak; half of it is dropped in train mode."""

    output_names = ("soft", "loud")

    def __init__(self) -> None:
        super().__init__()
        self.dropout, self.level = nn.Dropout(1.0), nn.Parameter(torch.tensor(0.5))

    def forward(self, sounds: Tensor) -> Tensor:
        assert sounds.device == self.level.device
        peak = self.dropout(sounds.abs()).amax(1)
        return torch.stack([self.level.expand_as(peak), peak], 1)


def test_a_module_is_asked_in_eval_mode_and_put_back() -> None:
    model = Loud().train()
    judge = Labeller(model)
    assert judge(torch.tensor([[0.1, 0.9], [0.1, -0.2]])) == ["loud", "soft"]
    assert model.training
    assert model.dropout.training


@pytest.mark.cuda
def test_a_module_is_asked_where_its_weights_are() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    assert Labeller(Loud().cuda())(torch.tensor([[0.1, 0.9], [0.1, -0.2]])) == ["loud", "soft"]


def test_a_listening_model_is_pooled_over_whole_sounds() -> None:
    labeller = Labeller(Mean())
    assert labeller.sample_rate == 100
    assert labeller(torch.tensor([[1.0, 1, 1, 1, 0, 0, 0, 0, 0.8, 0.8]])) == ["down"]
    quiet = SoundClassifier(Mean(), classes="up", threshold=0.9)
    assert Labeller(quiet)(torch.ones(1, 4) * 0.8) == ["not up"]
    assert Labeller(quiet, classes=["no", "yes"])(torch.ones(1, 4)) == ["yes"]


def test_a_shipped_model_says_the_same_of_a_batch_and_one_by_one() -> None:
    judge = Labeller(load("synth-singing"))
    sounds = 0.1 * torch.randn(3, 44100, generator=torch.Generator().manual_seed(0))
    assert judge(sounds) == [answer for y in sounds for answer in judge(y[None])]


class Loudness(nn.Module):
    """One score per sound, of one name: its mean."""

    output_names = ("loud",)
    outputs: Any = None

    def forward(self, sounds: Tensor) -> Tensor:
        return sounds.mean(1)


@pytest.mark.parametrize("axes", [1, 2])
def test_one_named_output_answers_its_name_or_not(axes: int) -> None:
    net = Loudness()
    judge = Labeller(net if axes == 1 else nn.Sequential(net, nn.Unflatten(0, (-1, 1))))
    assert judge.columns == (("not loud", "loud") if axes == 1 else None)
    sounds = torch.tensor([[0.4, 0.4], [0.6, 0.6]])
    if axes == 2:
        with pytest.raises(ParameterError, match=r"\(2, 1\).*output_names = \['X'\] .* 'not X'"):
            judge(sounds)
        return
    assert judge(sounds) == ["not loud", "loud"]
    with pytest.raises(ParameterError, match="no probabilities; set the attribute outputs"):
        judge(2 * sounds)
    net.outputs = "logits"
    assert judge(sounds - 0.5) == ["not loud", "loud"]
    with pytest.raises(ParameterError, match=r"label 'soft' is none .* \(loud, not loud\)"):
        Labeller(net, labels=["loud", "soft"])


def test_random_systems_and_systems_of_batches_are_noted() -> None:
    """A function is asked again, about a rendering in another batch."""
    generator = torch.Generator().manual_seed(0)

    def guessing(sounds: Tensor) -> list[str]:
        return ["ab"[int(torch.randint(2, (), generator=generator))] for _ in sounds]

    def relative(sounds: Tensor) -> list[str]:
        return ["ab"[int(y.mean() > sounds.mean())] for y in sounds]

    renderings = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    judge = Labeller(guessing)
    with pytest.warns(UserWarning, match="the model is random: .*; some of its flips are chance"):
        [judge.label_item(renderings) for _ in range(12)]
    with pytest.warns(UserWarning, match="depend on the others of its batch; each is evaluated"):
        assert Labeller(relative).label_item(renderings) == ["a"] * 4


def test_steady_systems_are_not_noted_and_hardly_asked_again() -> None:
    n_asked = 0

    def steady(sounds: Tensor) -> list[str]:
        nonlocal n_asked
        n_asked += len(sounds)
        return ["a" if y.mean() > 2 else "b" for y in sounds]

    judge = Labeller(steady)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for item in range(100):
            judge.label_item(torch.tensor([[1.0], [2.0], [3.0], [4.0]]), item)
    assert 400 < n_asked < 430


@dataclass
class _Answer:
    logits: Tensor
    hidden: Tensor


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda x: {"logits": x, "embedding": x[:, :1]},
        lambda x: (x, x[:, :1]),
        lambda x: _Answer(x, x[:, :1]),
        lambda x: x.numpy(),
    ],
    ids=["dict", "tuple", "dataclass", "array"],
)
def test_scores_come_in_any_form_that_other_tasks_take(wrapped: Any) -> None:
    scores = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 2.0]])
    labeller = Labeller(lambda _: wrapped(scores), classes=["a", "b"])
    assert labeller(torch.zeros(3, 4)) == ["a", "b", "a"]


@pytest.mark.parametrize("labels", [("a", "b"), ["a", "b"], np.array(["a", "b"])])
def test_labels_stay_labels(labels: Any) -> None:
    assert Labeller(lambda _: labels, classes=["a", "b"])(torch.zeros(2, 4)) == ["a", "b"]
