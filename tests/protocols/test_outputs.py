"""One rule reduces whatever a model returns to one Tensor."""

from __future__ import annotations

import collections
import dataclasses
import types
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.explain import SoundLIME
from otoscope.protocols import as_outputs, call_model

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


@dataclasses.dataclass
class Answer:
    hidden: Tensor
    logits: Tensor


@dataclasses.dataclass
class Single:
    note: str
    scores: Tensor


Pair = collections.namedtuple("Pair", "embedding logits")

FORMS: dict[str, Any] = {
    "Tensor": lambda t: t,
    "array": lambda t: t.numpy(),
    "big-endian array": lambda t: t.numpy().astype(">f4"),
    "float64": lambda t: t.double(),
    "numbers": lambda t: t[:, 0].tolist(),
    "tuple": lambda t: (t, t * 0, None),
    "list": lambda t: [t],
    "dict": lambda t: {"embedding": t * 0, "logits": t},
    "dict without logits": lambda t: {"loss": None, "clipwise": t},
    "dataclass": lambda t: Answer(t * 0, t),
    "dataclass without logits": lambda t: Single("fine", t),
    "named tuple": lambda t: Pair(t * 0, t),
    "object": lambda t: types.SimpleNamespace(hidden=t * 0, logits=t),
    "nested": lambda t: ({"logits": t.numpy()}, None),
}


@pytest.mark.parametrize("answer", [(X * 0, X), {"first": X * 0, "second": X}])
def test_an_index_counts_from_either_end(answer: Any) -> None:
    for output, expected in ((-1, X), (1, X), (0, X * 0), (-2, X * 0)):
        torch.testing.assert_close(as_outputs(answer, output), expected)
    for outside in (2, -3):
        with pytest.raises(ParameterError, match=f"output is {outside}, .* of 2 parts"):
            as_outputs(answer, outside)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_same_outputs(form: str) -> None:
    outputs = call_model(lambda x: FORMS[form](X), X)
    expected = X[:, :1] if form == "numbers" else X
    torch.testing.assert_close(outputs.float(), expected)


@pytest.mark.parametrize("form", ["tuple", "dict", "dataclass", "named tuple", "object", "nested"])
def test_a_structured_answer_is_explained_and_shared_like_a_tensor(form: str) -> None:
    class Net(nn.Module):
        def __init__(self, form: str) -> None:
            super().__init__()
            self.conv, self.form = nn.Conv2d(1, 2, (3, 1)), form

        def forward(self, x: Tensor) -> Any:
            return FORMS[self.form](self.conv(x).relu().mean((2, 3)))

    patch = torch.randn(12, 5, generator=torch.Generator().manual_seed(1))
    coefficients = []
    for each in (form, "Tensor"):
        torch.manual_seed(2)
        lime: Any = SoundLIME(Net(each).eval(), segments="temporal:6", content=0.0, target=1)
        explanation = lime.explain(patch)
        assert ("shared" in explanation.plan) == (each != "nested")  # arrays leave PyTorch
        coefficients.append(explanation.coefficients)
    torch.testing.assert_close(*coefficients, rtol=0, atol=1e-6)


def test_a_part_is_chosen_by_name_or_index() -> None:
    several = {"clipwise": X, "embedding": X + 1}
    with pytest.raises(ParameterError, match=r"a dict of clipwise, embedding, and none .* logits"):
        as_outputs(several)
    assert as_outputs(several, "embedding").equal(X + 1)
    assert as_outputs(several, 1).equal(X + 1)
    assert as_outputs((X, (X + 1, X)), 1).equal(X + 1)
    assert as_outputs(Pair(X + 1, X), "embedding").equal(X + 1)
    assert as_outputs(types.SimpleNamespace(scores=X), "scores").equal(X)
    with pytest.raises(ParameterError, match=r"output is 'score', .* a dict of clipwise, emb"):
        as_outputs(several, "score")
    with pytest.raises(ParameterError, match="output is 2, the model returned a tuple of 2 parts"):
        as_outputs((X, X), 2)
    with pytest.raises(ParameterError, match="output is 'logits', the model returned a Tensor"):
        as_outputs(X, "logits")


def test_a_tensor_and_what_holds_no_numbers_stay() -> None:
    answers: list[Any] = [X, "loud", None, {}, 3, np]
    for answer in answers:
        assert as_outputs(answer) is answer
