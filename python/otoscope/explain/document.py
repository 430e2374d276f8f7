"""Documents: an explanation as JSON, and back without losing a bit.

Large arrays are base64 of their little-endian bytes beside dtype and shape; tables and coefficients
are lists of numbers, which Python writes so that they read back the same. ``format`` ends in the
version of the schema: 2 added names with a default only, so version 1 is read too.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from otoscope.documents import read_document, require_fields
from otoscope.errors import ParameterError
from otoscope.explain.segments import Extent
from otoscope.protocols import Patch
from otoscope.signal.mel.domain import Compression, Domain

_KIND, _VERSION = "otoscope.Explanation", 2
FORMAT = f"{_KIND}/{_VERSION}"
RECORD_FORMAT = "otoscope.ExplanationRecord/1"

PLAIN = (
    "counts",
    "weights",
    "outputs",
    "n_samples",
    "effective_samples",
    "plan",
    "versions",
    "selected",
)
"""Names of an explanation that are written as they are."""

_NEEDED = {"fits", "extents", "segment_ids", "keep", "settings", *PLAIN}

Built = TypeVar("Built")


def read(text: str) -> dict[str, Any]:
    """Parse the text of an explanation, and check its version and its names."""
    content, _ = read_document(_unwrapped(text), _KIND, _VERSION, name="explanation")
    if "patch" not in content:
        raise ParameterError("the explanation was written with patch=False; write it with it")
    require_fields(content, _NEEDED, "the explanation")
    return content


def _unwrapped(text: str) -> str:
    """Take the explanation out of a record of ``otoscope explain --json``."""
    try:
        record = json.loads(text)
    except ValueError:  # `read_document` says what is wrong
        return text
    if isinstance(record, dict) and record.get("format") == RECORD_FORMAT:
        return json.dumps(record.get("explanation"))
    return text


def build(kind: type[Built], content: Any) -> Built:
    """Make a dataclass from the names that it knows; the others are left out."""
    known = fields(kind)  # type: ignore[arg-type]
    needed = {f.name for f in known if f.default is MISSING and f.default_factory is MISSING}
    require_fields(content, needed, f"{kind.__name__} in the explanation")
    return kind(**{f.name: content[f.name] for f in known if f.name in content})


def with_tensors(content: Mapping[str, Any]) -> dict[str, Any]:
    """Read lists of numbers as float64 tensors; anything else stays."""
    return {
        name: torch.tensor(value, dtype=torch.float64) if isinstance(value, list) else value
        for name, value in content.items()
    }


def array_to_json(array: Tensor) -> dict[str, object]:
    """Write a tensor of any type as an object."""
    exact = array.float() if array.dtype == torch.bfloat16 else array  # NumPy has no bfloat16
    plain = exact.detach().cpu().numpy()
    little = plain.astype(plain.dtype.newbyteorder("<"))
    return {
        "dtype": plain.dtype.name,
        "shape": list(plain.shape),
        "base64": base64.b64encode(little.tobytes()).decode("ascii"),
    }


def array_from_json(content: Mapping[str, Any]) -> Tensor:
    """Read a tensor that `array_to_json` wrote."""
    require_fields(content, {"dtype", "shape", "base64"}, "an array in the explanation")
    little = np.dtype(content["dtype"]).newbyteorder("<")
    flat = np.frombuffer(base64.b64decode(content["base64"]), dtype=little)
    return torch.from_numpy(flat.astype(content["dtype"]).reshape(content["shape"]))


def extent_from_json(content: Mapping[str, Any]) -> Extent:
    """Read a segment's extent: JSON has lists for tuples."""
    return build(
        Extent,
        {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in content.items()
        },
    )


def patch_to_json(patch: Patch) -> dict[str, object]:
    """Write a patch with its sound and its domain."""
    domain = patch.domain
    return {
        "values": array_to_json(patch.values),
        "y": None if patch.y is None else array_to_json(patch.y),
        "mel_hz": None if patch.mel_hz is None else array_to_json(patch.mel_hz),
        "domain": domain
        and {
            "mean": array_to_json(domain.mean),
            "std": array_to_json(domain.std),
            "compression": domain.compression,
        },
        "sr": patch.sr,
        "hop_length": patch.hop_length,
        "start": patch.start,
    }


def patch_from_json(content: Mapping[str, Any]) -> Patch:
    """Read a patch that `patch_to_json` wrote, on the CPU."""
    plain = dict(content)
    for name in ("values", "y", "mel_hz"):
        if content.get(name) is not None:
            plain[name] = array_from_json(content[name])
    if domain := content.get("domain"):
        require_fields(
            domain, {"mean", "std", "compression"}, "the patch's domain in the explanation"
        )
        mean, std = array_from_json(domain["mean"]), array_from_json(domain["std"])
        plain["domain"] = Domain(mean, std, build(Compression, domain["compression"]))
    return build(Patch, plain)
