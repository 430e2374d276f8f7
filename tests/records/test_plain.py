"""Values as JSON: plain, one line, without NaN."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.records import to_json


@dataclass(frozen=True)
class Setting:
    rate: float
    units: tuple[int, ...]


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def without_infinity(value: object) -> object:
    if isinstance(value, float) and math.isinf(value):
        return None
    if isinstance(value, list):
        return [without_infinity(item) for item in value]
    if isinstance(value, dict):
        return {name: without_infinity(item) for name, item in value.items()}
    return value


@given(plain)
def test_json_gives_values_back_in_one_ascii_line(value: object) -> None:
    text = to_json(value)
    assert text.isascii()
    assert "\n" not in text
    assert json.loads(text) == without_infinity(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "null"),
        (-math.inf, "null"),
        (np.float32(math.nan), "null"),
        (torch.tensor([1.0, math.inf]), "[1.0, null]"),
        (np.int64(3), "3"),
        (np.bool_(True), "true"),
        (np.str_("a"), '"a"'),
        (np.float64(0.5), "0.5"),
        (np.zeros((0, 2)), "[]"),
        (torch.tensor(2, dtype=torch.uint8), "2"),
        (torch.tensor([0.5], dtype=torch.bfloat16, requires_grad=True), "[0.5]"),
        (Path("a") / "b", json.dumps(str(Path("a") / "b"))),
        (Setting(0.5, (1, 2)), '{"rate": 0.5, "units": [1, 2]}'),
    ],
)
def test_json_of(value: object, text: str) -> None:
    assert to_json(value) == text


@pytest.mark.parametrize("value", [{1, 2}, b"a", 1j, np.complex64(1), Setting, {3: 4}, object()])
def test_value_without_a_form_in_json_is_named(value: object) -> None:
    with pytest.raises(ParameterError, match="JSON"):
        to_json({"value": value})
