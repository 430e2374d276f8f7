"""What a report lets you hear: the excerpt, its support, the rest, and each segment by itself."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.explain import Explanation
from otoscope.protocols import Patch
from otoscope.report._phrases import answer, number, support
from otoscope.signal import encode_audio

__all__ = ["Sound", "data_uri", "data_uris", "has_sound", "sounds"]

_LOSSLESS_BYTES = 800_000  # above it Vorbis: ten seconds and their parts stay below 2 MB
_FLAC_BLOCK = 4096  # samples; Chromium never ends a FLAC of one block, but a WAV


@dataclass(frozen=True)
class Sound:
    """A sound of the page.

    Parameters
    ----------
    key : str
        "excerpt", "support", "rest", or the id of a segment.
    label : str
        For its button; empty for a segment.
    answer : str
        What the model says of it; empty if it was not asked.
    start, end : float
        Where it lies, percent of the picture's width.
    uri : str
        The encoded sound, as a data URI.
    """

    key: str
    label: str
    answer: str
    start: float
    end: float
    uri: str


def has_sound(patch: Patch) -> bool:
    """Whether parts of a patch can be heard."""
    return None not in (patch.y, patch.sr, patch.hop_length, patch.mel_hz)


def sounds(explanation: Explanation) -> list[Sound]:
    """Cut and filter the excerpt's sound.

    Parameters
    ----------
    explanation : Explanation
        Of a patch with sound; else there is nothing to hear.

    Returns
    -------
    list of Sound
        The whole ones first, then one a segment in the order of ids.
    """
    patch, ids = explanation.patch, explanation.segment_ids
    if not has_sound(patch) or patch.sr is None:
        return []
    n_frames, n_segments = len(patch.values), len(explanation.extents)
    speaking = support(explanation)
    groups = {
        "excerpt": ("Excerpt", range(n_segments)),
        "support": ("Only the supporting parts", speaking),
    }
    if 0 < len(speaking) < n_segments:
        groups["rest"] = ("Everything else", [i for i in range(n_segments) if i not in speaking])
    cuts = []
    for key, (label, kept) in groups.items():
        if kept:
            gain = torch.isin(ids, torch.tensor(list(kept), dtype=ids.dtype))
            said = answer(explanation, kept)
            words = "" if said is None else number(said)
            cuts.append((key, label, words, (0, n_frames), patch.listen(gain)))
    for i, extent in enumerate(explanation.extents):
        cuts.append((str(i), "", "", extent.frames, _cut(patch, ids == i, extent.frames)))
    uris = data_uris([cut[-1] for cut in cuts], sr=round(patch.sr))
    return [
        Sound(key, label, words, 100 * a / n_frames, 100 * b / n_frames, uri)
        for (key, label, words, (a, b), _), uri in zip(cuts, uris, strict=True)
    ]


def _cut(patch: Patch, cells: Tensor, frames: tuple[int, int]) -> Tensor:
    """The sound of some cells, without the silence before and after its frames."""
    hop = patch.hop_length or 1
    return patch.listen(cells)[frames[0] * hop : frames[1] * hop]


def data_uris(clips: list[Tensor], *, sr: int, lossless_bytes: int = _LOSSLESS_BYTES) -> list[str]:
    """Encode all in one format and with one gain, so that their levels compare."""
    peak = max(1.0, *(float(clip.abs().max()) for clip in clips if len(clip)))
    lossless = "WAV" if min(map(len, clips), default=0) <= _FLAC_BLOCK else "FLAC"
    files = [encode_audio(clip / peak, sr=sr, format=lossless, subtype="PCM_16") for clip in clips]
    if sum(map(len, files)) <= lossless_bytes:
        return [data_uri(f"audio/{lossless.lower()}", content) for content in files]
    return [data_uri("audio/ogg", encode_audio(clip / peak, sr=sr, format="OGG")) for clip in clips]


def data_uri(mime: str, content: bytes) -> str:
    """Write the content of a file as an address."""
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"
