"""Documents: an explanation as JSON, and back without losing a bit.

Large arrays are base64 of their little-endian bytes beside dtype and shape; tables and coefficients
are lists of numbers, which Python writes so that they read back the same. ``format`` ends in the
version of the schema: 2 added names with a default only, 3 added ``passes``; older ones are read.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
import torch
from torch import Tensor

from otoscope import ops, records
from otoscope.documents import read_document, require_fields, require_types
from otoscope.errors import ParameterError
from otoscope.explain.components.mixture import Mixture
from otoscope.explain.fit.contributions import Fit
from otoscope.explain.fit.decisive import DecisiveSets, decision_of, decisive_sets
from otoscope.explain.segments import Extent
from otoscope.explain.settings import ExplanationSettings
from otoscope.foreign import parse_json
from otoscope.protocols import Patch
from otoscope.signal.mel.domain import Domain, read_compression

_KIND, _VERSION = "otoscope.Explanation", 3
FORMAT = f"{_KIND}/{_VERSION}"
_RECORD = "otoscope.ExplanationRecord/"
RECORD_FORMAT = f"{_RECORD}2"

PLAIN = (
    "counts",
    "weights",
    "outputs",
    "n_samples",
    "effective_samples",
    "plan",
    "passes",
    "versions",
    "selected",
)
"""Names of an explanation that are written as they are."""

EXCERPT_COLUMNS = (
    "start_s",
    "duration_s",
    "target",
    "output",
    "output_none",
    "evidence",
    "r2",
    "effective_samples",
    "n_coalitions",
    "passes",
)
"""Columns of a tidy table that are the same in all rows of an excerpt."""

SEGMENT_COLUMNS = (
    "segment",
    "segment_name",
    "segment_start_s",
    "segment_end_s",
    "segment_low_hz",
    "segment_high_hz",
    "coefficient",
    "shapley",
    "standard_error",
    "named",
)
"""Columns of a tidy table that differ from segment to segment."""

_NEEDED = {"fits", "extents", "segment_ids", "keep", "settings", *PLAIN}

Built = TypeVar("Built")


def read(text: str) -> dict[str, Any]:
    """Parse the text of an explanation, and check its version and its names."""
    try:
        parsed = parse_json(text, name="the explanation")
    except ParameterError:  # `read_document` says what is wrong
        parsed = text
    if isinstance(parsed, dict) and str(parsed.get("format")).startswith(_RECORD):
        parsed = parsed.get("explanation")  # a record of ``otoscope explain --json``
    content, version = read_document(parsed, _KIND, _VERSION, name="explanation")
    if "patch" not in content:
        raise ParameterError("the explanation was written with patch=False; write it with it")
    if version < 3:
        content.setdefault("passes", _passes_of_plan(content))
    require_fields(content, _NEEDED, "the explanation")
    return content


def _passes_of_plan(content: Mapping[str, Any]) -> float | None:
    """Read the number of passes from the plan in words; the coalitions where it has none."""
    written = re.search(r"([\d,.]+) passes", str(content.get("plan")))
    if written is not None:
        return float(written[1].replace(",", ""))
    counts = content.get("counts")
    return float(len(counts)) if isinstance(counts, list) else None


def arguments(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of an explanation by name, from its document."""
    settings = build(ExplanationSettings, content["settings"])
    measure = "shapley" if settings.kernel == "shapley" else "coefficient"  # of version 1
    fits = [{"measure": measure, **with_tensors(fit)} for fit in content["fits"]]
    return {
        "fits": tuple(build(Fit, fit) for fit in fits),
        "extents": tuple(extent_from_json(extent) for extent in content["extents"]),
        "patch": patch_from_json(content["patch"]),
        "segment_ids": array_from_json(content["segment_ids"]),
        "keep": array_from_json(content["keep"]),
        "settings": settings,
        "mixture": mixture_from_json(content.get("mixture")),
        **with_tensors({name: content[name] for name in PLAIN}),
    }


def written(explanation: Any, *, patch: bool) -> str:
    """Write an explanation as JSON; `arguments` reads it if the patch is there."""
    names: dict[str, object] = {
        "format": FORMAT,
        **{name: getattr(explanation, name) for name in PLAIN},
        "fits": explanation.fits,
        "extents": explanation.extents,
        "keep": array_to_json(explanation.keep),
        "settings": explanation.settings,
    }
    if patch:
        names["patch"] = patch_to_json(explanation.patch)
        names["segment_ids"] = array_to_json(explanation.segment_ids)
        names["mixture"] = mixture_to_json(explanation.mixture)
    return records.to_json(names)


def record_of(explanation: Any) -> dict[str, Any]:
    """Return the numbers of the target shown, in JSON's types."""
    fit, evidence = explanation.fits[explanation.selected], explanation.evidence
    record: dict[str, Any] = records.to_plain(
        {
            "format": RECORD_FORMAT,
            "start": explanation.patch.start,
            "duration": explanation.patch.duration,
            "top": [explanation.extents[segment].name for segment in explanation.top(3)],
            "evidence": evidence.kind,
            "named": [explanation.extents[segment].name for segment in evidence.segments],
            **{field.name: getattr(fit, field.name) for field in fields(Fit)},
            "is_saturated": explanation.is_saturated,
            "effective_samples": explanation.effective_samples,
            "n_coalitions": explanation.n_coalitions,
            "passes": explanation.passes,
            "extents": explanation.extents,
            "levels": _levels(explanation),
            "decisive_sets": _decisive_sets(explanation),
        }
    )
    return record


def _decisive_sets(explanation: Any) -> DecisiveSets | None:
    """Return the sets that decide the answer; None if no threshold of an answer is known."""
    return None if decision_of(explanation) is None else decisive_sets(explanation)


def _levels(explanation: Any) -> Tensor:
    """Return the mean value of the patch in each segment; empty for components of a sound."""
    if explanation.mixture is not None:
        return torch.zeros(0)
    ids = explanation.segment_ids.flatten().long()
    values = explanation.patch.values.detach().cpu().double().flatten()
    levels: Tensor = ids.bincount(values, len(explanation.extents)) / ids.bincount()
    return levels


def build(kind: type[Built], content: Any) -> Built:
    """Make a dataclass from the names that it knows; the others are left out."""
    known = fields(kind)  # type: ignore[arg-type]
    needed = {f.name for f in known if f.default is MISSING and f.default_factory is MISSING}
    owner = f"{kind.__name__} in the explanation"
    require_fields(content, needed, owner)
    hints = {name: _plain(hint) for name, hint in get_type_hints(kind).items() if name in content}
    require_types(content, {name: hint for name, hint in hints.items() if hint}, owner)
    return kind(**{f.name: content[f.name] for f in known if f.name in content})


def _plain(hint: Any) -> Any:
    """Return the type that JSON has for a plain type, None for others; NaN is written as null."""
    if get_origin(hint) is Literal:
        return str
    kinds = set(get_args(hint)) if isinstance(hint, UnionType) else {hint}
    if not kinds <= {str, int, float, bool, NoneType}:
        return None
    return hint | None if float in kinds else hint


def check(explanation: Any) -> None:
    """Refuse an explanation whose arrays do not fit each other."""
    n_rows, n_segments = explanation.keep.shape
    shapes = {
        "segment_ids": explanation.patch.values.shape,
        "counts": (n_rows,),
        "weights": (n_rows,),
        "outputs": (n_rows, len(explanation.fits)),
    }
    arrays = [(name, getattr(explanation, name), shape) for name, shape in shapes.items()]
    for fit in explanation.fits:
        arrays.append(("coefficients", fit.coefficients, (n_segments,)))
        for name in ("shapley", "standard_error"):
            arrays.append((name, getattr(fit, name), (n_segments,)))
        arrays.append(("interactions", fit.interactions, (n_segments, n_segments)))
    for name, array, shape in arrays:
        if array is not None and tuple(array.shape) != tuple(shape):
            raise ParameterError(f"{name} has shape {tuple(array.shape)}, needs {tuple(shape)}")
    ids = explanation.segment_ids
    if ids.is_floating_point():
        raise ParameterError(f"segment_ids are {ids.dtype}, must be integers")
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= n_segments:
        raise ParameterError(
            f"segment_ids are in {low}..{high}, must be in 0..{n_segments - 1}: keep has "
            f"{n_segments} segments"
        )
    if explanation.keep.dtype != torch.bool:
        raise ParameterError(f"keep is {explanation.keep.dtype}, must be torch.bool")
    if (n_extents := len(explanation.extents)) != n_segments:
        raise ParameterError(f"extents are {n_extents}, must be {n_segments}, as keep has segments")
    selected, n_fits = explanation.selected, len(explanation.fits)
    if type(selected) is not int:
        raise ParameterError(f"selected is {selected!r}, must be an integer")
    if not 0 <= selected < n_fits:
        raise ParameterError(f"selected is {selected}, must be in 0..{n_fits - 1}, of the fits")


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
    name, shape = content["dtype"], content["shape"]
    if not re.fullmatch("bool|u?int8|u?int(16|32|64)|float(16|32|64)", str(name)):
        raise ParameterError(f"an array in the explanation has dtype {name!r}, needs numbers")
    flat = np.frombuffer(base64.b64decode(content["base64"]), np.dtype(name).newbyteorder("<"))
    if not isinstance(shape, list) or math.prod(shape) != flat.size:
        raise ParameterError(
            f"an array in the explanation has shape {shape} for {flat.size} values"
        )
    return torch.from_numpy(flat.astype(name).reshape(shape))


def extent_from_json(content: Mapping[str, Any]) -> Extent:
    """Read a segment's extent: JSON has lists for tuples."""
    for name, value in content.items():
        is_pair = isinstance(value, list) and [type(n) in (int, float) for n in value] == [True] * 2
        if name != "name" and value is not None and not is_pair:
            raise ParameterError(f"{name} of an extent is {value!r}, needs two numbers")
    return build(
        Extent,
        {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in content.items()
        },
    )


def tidy_rows(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield one row per segment of a record of an explanation; None where a number is unknown."""
    r2 = None if record["is_saturated"] else record["r2"]
    numbers = ("start", "duration", "target", "output_all", "output_none", "evidence")
    work = (r2, *map(record.get, ("effective_samples", "n_coalitions", "passes")))
    excerpt = dict(zip(EXCERPT_COLUMNS, (*map(record.get, numbers), *work), strict=True))
    measures = [
        record.get(name) or [None] * len(record["extents"])
        for name in ("coefficients", "shapley", "standard_error")
    ]
    for i, (extent, *measured) in enumerate(zip(record["extents"], *measures, strict=True)):
        place = (*(extent["seconds"] or (None, None)), *(extent["hz"] or (None, None)))
        is_named = extent["name"] in record["named"] if "named" in record else None
        cells = (i, extent["name"], *place, *measured, is_named)
        yield excerpt | dict(zip(SEGMENT_COLUMNS, cells, strict=True))


def mixture_to_json(mixture: Mixture | None) -> dict[str, object] | None:
    """Write the components of a sound; a replacement by zeros is left out."""
    if mixture is None:
        return None
    return {
        "kept": array_to_json(mixture.kept),
        "replaced": array_to_json(mixture.replaced) if bool(mixture.replaced.any()) else None,
        "ids": array_to_json(mixture.ids),
        "n_components": mixture.n_components,
        "n_channels": mixture.n_channels,
    }


def mixture_from_json(content: Mapping[str, Any] | None) -> Mixture | None:
    """Read the components of a sound that `mixture_to_json` wrote."""
    if content is None:
        return None
    names = {"kept", "replaced", "ids", "n_components", "n_channels"}
    require_fields(content, names, "the mixture in the explanation")
    require_types(content, {"n_components": int, "n_channels": int}, "the mixture")
    kept, ids = array_from_json(content["kept"]), array_from_json(content["ids"])
    replaced = torch.zeros_like(kept)
    if content["replaced"] is not None:
        replaced = array_from_json(content["replaced"])
    if kept.ndim != 2 or not kept.shape == replaced.shape == ids.shape:
        raise ParameterError(
            f"the mixture has arrays {tuple(kept.shape)}, {tuple(replaced.shape)} and "
            f"{tuple(ids.shape)}; all must be [sample, layer]"
        )
    ops.SegmentMap(ids, content["n_components"])  # ids are in range
    return Mixture(kept, replaced, ids, content["n_components"], content["n_channels"])


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
        plain["domain"] = Domain(mean, std, read_compression(domain["compression"]))
    return build(Patch, plain)


def kept_of(segments: list[int], n_segments: int) -> Tensor:
    """Mark some segments of an explanation: Tensor [segment], bool."""
    if not all(0 <= i < n_segments for i in segments):
        raise ParameterError(f"segments are {segments}, must be in 0..{n_segments - 1}")
    kept = torch.zeros(n_segments, dtype=torch.bool)
    kept[segments] = True
    return kept
