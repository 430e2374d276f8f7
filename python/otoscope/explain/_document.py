"""The parts of an explanation as JSON, and back without losing a bit.

Large arrays are base64 of their little-endian bytes beside dtype and shape; tables and coefficients
are plain lists of numbers, which Python writes so that they read back the same.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import torch
from torch import Tensor

from otoscope.explain.segments import Extent
from otoscope.protocols import Patch
from otoscope.signal.mel.domain import Compression, Domain


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


def array_from_json(content: dict[str, Any]) -> Tensor:
    """Read a tensor back."""
    little = np.dtype(content["dtype"]).newbyteorder("<")
    flat = np.frombuffer(base64.b64decode(content["base64"]), dtype=little)
    return torch.from_numpy(flat.astype(content["dtype"]).reshape(content["shape"]))


def doubles(numbers: list[Any]) -> Tensor:
    """Read lists of numbers as float64."""
    return torch.tensor(numbers, dtype=torch.float64)


def extent_from_json(content: dict[str, Any]) -> Extent:
    """Read a segment's extent: JSON has lists for tuples."""
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
    }
    return Extent(**fields)


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


def patch_from_json(content: dict[str, Any]) -> Patch:
    """Read a patch back, on the CPU."""
    fields = dict(content)
    for name in ("values", "y", "mel_hz"):
        fields[name] = content[name] and array_from_json(content[name])
    if domain := content["domain"]:
        mean, std = array_from_json(domain["mean"]), array_from_json(domain["std"])
        fields["domain"] = Domain(mean, std, Compression(**domain["compression"]))
    return Patch(**fields)
