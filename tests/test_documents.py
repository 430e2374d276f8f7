"""Documents carry kind and version; other documents are refused with a message."""

from __future__ import annotations

import numpy as np
import pytest

from otoscope.documents import document, read_document, require_types
from otoscope.errors import ParameterError
from otoscope.records import to_json


def test_a_document_is_read_back_with_its_version() -> None:
    written = document("otoscope.Curve", 2, {"y": np.arange(2)})
    assert written == {"format": "otoscope.Curve/2", "y": [0, 1]}
    text = to_json(written)
    assert read_document(text, "otoscope.Curve", 3, name="curve") == ({"y": [0, 1]}, 2)
    assert read_document(written, "otoscope.Curve", 2, name="curve", required=["y"])[1] == 2


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{", "the curve is not JSON: Expecting"),
        ("[]", r"must be otoscope\.Curve/2"),
        ('{"y": 1}', r"must be otoscope\.Curve/2"),
        ({"format": "otoscope.Curve"}, r"must be otoscope\.Curve/2"),
        ({"format": "otoscope.Line/1"}, r"not a curve; its format must be otoscope\.Curve/2"),
        (
            {"format": "otoscope.Curve/3"},
            r"has format otoscope\.Curve/3, .* up to otoscope\.Curve/2",
        ),
        ({"format": "otoscope.Curve/1"}, "the curve lacks x, y; the document is damaged"),
    ],
)
def test_other_documents_are_refused(source: object, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        read_document(source, "otoscope.Curve", 2, name="curve", required=["x", "y"])


@pytest.mark.parametrize("needed", [int, float, int | None])
def test_a_bool_is_no_number(needed: type) -> None:
    assert require_types({"n": 1}, {"n": needed}, "the card") == {"n": 1}
    with pytest.raises(ParameterError, match="the card has n True, needs"):
        require_types({"n": True}, {"n": needed}, "the card")
