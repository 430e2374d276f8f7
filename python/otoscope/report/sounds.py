"""Sounds of a page: an excerpt, its support, the rest, and each segment by itself."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.explain import Explanation
from otoscope.explain.evidence import coalition_output
from otoscope.protocols import Patch
from otoscope.report.numbers import number
from otoscope.signal import encode_audio

__all__ = ["Sound", "data_uri", "data_uris", "has_sound", "lossless_uri", "segment_sounds"]

_LOSSLESS_BYTES = 800_000  # above it Vorbis: ten seconds and their parts stay below 2 MB
_FLAC_BLOCK = 4096  # samples; Chromium never ends a FLAC of one block, but a WAV


@dataclass(frozen=True)
class Sound:
    """A sound of a page, with its position on the time axis, percent.

    ``key`` is unique on the page; for an explanation: "excerpt", "support", "rest", or the id of a
    segment. ``label`` and ``note`` are the texts of its button, empty if it has none. ``uri`` is
    the encoded sound as a data URI, empty if there is none to hear.
    """

    key: str
    label: str
    note: str
    start: float
    end: float
    uri: str


def has_sound(patch: Patch) -> bool:
    """Whether parts of a patch can be heard."""
    return None not in (patch.y, patch.sr, patch.hop_length, patch.mel_hz)


def segment_sounds(explanation: Explanation) -> list[Sound]:
    """Cut and filter the sound of the patch: first with several segments, then one per segment."""
    patch, ids = explanation.patch, explanation.segment_ids
    if not has_sound(patch) or patch.sr is None:
        return []
    n_frames, n_segments = len(patch.values), len(explanation.extents)
    evidence = explanation.evidence
    named = evidence.segments
    role = "lowering" if evidence.kind == "lowers" else "supporting"
    groups: dict[str, tuple[str, Sequence[int]]] = {
        "excerpt": ("Excerpt", range(n_segments)),
        "support": (f"Only the {role} parts", named),
    }
    if 0 < len(named) < n_segments:
        groups["rest"] = ("Everything else", [i for i in range(n_segments) if i not in named])
    cuts = []
    for key, (label, kept) in groups.items():
        if kept:
            gain = torch.isin(ids, torch.tensor(list(kept), dtype=ids.dtype))
            output = coalition_output(explanation, kept)
            note = "" if output is None else f"the model gives {number(output)}"
            cuts.append((key, label, note, (0, n_frames), patch.listen(gain)))
    for i, extent in enumerate(explanation.extents):
        cuts.append((str(i), "", "", extent.frames, _cut(patch, ids == i, extent.frames)))
    uris = data_uris([cut[-1] for cut in cuts], sr=round(patch.sr))
    return [
        Sound(key, label, note, 100 * a / n_frames, 100 * b / n_frames, uri)
        for (key, label, note, (a, b), _), uri in zip(cuts, uris, strict=True)
    ]


def _cut(patch: Patch, cells: Tensor, frames: tuple[int, int]) -> Tensor:
    """Cut some cells out, without the silence before and after their frames."""
    hop = patch.hop_length or 1
    return patch.listen(cells)[frames[0] * hop : frames[1] * hop]


def data_uris(clips: list[Tensor], *, sr: int, lossless_bytes: int = _LOSSLESS_BYTES) -> list[str]:
    """Encode sounds in one format and with one gain, so that their levels compare."""
    peak = max(1.0, *(float(clip.abs().max()) for clip in clips if len(clip)))
    lossless = "WAV" if min(map(len, clips), default=0) <= _FLAC_BLOCK else "FLAC"
    files = [encode_audio(clip / peak, sr=sr, format=lossless, subtype="PCM_16") for clip in clips]
    if sum(map(len, files)) <= lossless_bytes:
        return [data_uri(f"audio/{lossless.lower()}", content) for content in files]
    return [data_uri("audio/ogg", encode_audio(clip / peak, sr=sr, format="OGG")) for clip in clips]


def data_uri(mime: str, content: bytes) -> str:
    """Write the content of a file as a URI."""
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


def lossless_uri(y: Tensor, sr: float) -> str:
    """Encode one sound [sample] without loss, 16 bits."""
    content = encode_audio(y, sr=round(sr), format="FLAC", subtype="PCM_16")
    return data_uri("audio/flac", content)
