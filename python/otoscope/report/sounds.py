"""Sounds of a page: an excerpt, its support, the rest, and each segment by itself."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.explain import Explanation
from otoscope.explain.fit.decisive import decision_of, decisive_sets
from otoscope.explain.fit.evidence import coalition_output
from otoscope.protocols import Patch
from otoscope.report.numbers import number
from otoscope.signal import encode_audio

__all__ = [
    "DECISIVE_KEYS",
    "Sound",
    "compared_sounds",
    "data_uri",
    "data_uris",
    "decisive_players",
    "gain_of",
    "has_sound",
    "lossless_uri",
    "segment_sounds",
    "source_players",
]

_LOSSLESS_BYTES = 800_000  # above it Vorbis: ten seconds and their parts stay below 2 MB
DECISIVE_KEYS = ("enough", "without")
_FIRST = ("excerpt", "support", "rest")
_MOST_SOURCES = 8
_PLACE = re.compile(r"[\d.]+-[\d.]+ (s|Hz)")
_FLAC_BLOCK = 4096  # samples; Chromium never ends a FLAC of one block, but a WAV


@dataclass(frozen=True)
class Sound:
    """A sound of a page, with its position on the time axis, percent.

    ``key`` is unique on the page; for an explanation: "excerpt", "support", "rest", "enough",
    "without", "source0" and so on, or the id of a segment. ``label`` and ``note`` are the texts of
    its button, empty if it has none. ``uri`` is the encoded sound as a data URI, empty if there is
    none to hear.
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
    """Make the sounds with only some segments: first with several, then with one, cut to its time.

    A model of sounds heard exactly these; the first are encoded without loss, in 24 bits.
    """
    patch = explanation.patch
    if not has_sound(patch) or patch.sr is None:
        return []
    n_frames, groups = len(patch.values), _groups(explanation)
    cuts = []
    for key, (label, kept) in groups.items():
        if key == _key_of(groups, key):
            shown = label if key in _FIRST else ""  # the others have players of their own
            sound = explanation.listen(kept)
            cuts.append((key, shown, _note(explanation, kept), (0, n_frames), sound))
    n_exact = len(cuts) if explanation.mixture is not None else 0
    for i, extent in enumerate(explanation.extents):
        first, end = (frame * (patch.hop_length or 1) for frame in extent.frames)
        cuts.append((str(i), "", "", extent.frames, explanation.listen([i])[..., first:end]))
    uris = data_uris([cut[-1] for cut in cuts], sr=round(patch.sr), n_exact=n_exact)
    return [
        Sound(key, label, note, 100 * a / n_frames, 100 * b / n_frames, uri)
        for (key, label, note, (a, b), _), uri in zip(cuts, uris, strict=True)
    ]


def compared_sounds(explanations: Sequence[Explanation]) -> list[list[Sound]]:
    """Make the sounds of each explanation of a comparison: the excerpt once, what it rests on."""
    made: list[list[Sound]] = []
    excerpts: list[Tensor] = []
    for i, explanation in enumerate(explanations):
        made.append([])
        if not has_sound(explanation.patch) or explanation.patch.sr is None:
            continue
        groups = {key: group for key, group in _groups(explanation).items() if key in _FIRST}
        sounds = {key: explanation.listen(kept) for key, (_, kept) in groups.items()}
        if any(torch.equal(sounds["excerpt"], other) for other in excerpts):
            del sounds["excerpt"]  # another plays it
        else:
            excerpts.append(sounds["excerpt"])
        n_exact = len(sounds) if explanation.mixture is not None else 0
        uris = data_uris([*sounds.values()], sr=round(explanation.patch.sr), n_exact=n_exact)
        for key, uri in zip(sounds, uris, strict=True):
            label, kept = groups[key]
            made[-1].append(Sound(f"{key}{i}", label, _note(explanation, kept), 0, 100, uri))
    return made


def decisive_players(explanation: Explanation) -> list[Sound]:
    """Return the players of the smallest sets: keys among `segment_sounds`, texts, no sounds."""
    return _players(explanation, DECISIVE_KEYS)


def source_players(explanation: Explanation) -> list[Sound]:
    """Return a player for each source of a sound alone, as `decisive_players` does."""
    return _players(explanation, [f"source{i}" for i in range(_MOST_SOURCES)])


def _players(explanation: Explanation, keys: Sequence[str]) -> list[Sound]:
    if not has_sound(explanation.patch):
        return []
    groups = _groups(explanation)
    return [
        Sound(_key_of(groups, key), groups[key][0], _note(explanation, groups[key][1]), 0, 100, "")
        for key in keys
        if key in groups
    ]


def _sources(explanation: Explanation) -> dict[str, tuple[int, ...]]:
    """Return the segments of each source: components that share their place with others."""
    extents = explanation.extents
    if explanation.mixture is None or len({(e.frames, e.bands) for e in extents}) == len(extents):
        return {}
    sources: dict[str, tuple[int, ...]] = {}
    for i, extent in enumerate(extents):
        names = [part for part in extent.name.split(", ") if not _PLACE.fullmatch(part)]
        sources[", ".join(names)] = (*sources.get(", ".join(names), ()), i)
    return sources if 1 < len(sources) <= _MOST_SOURCES else {}


def _groups(explanation: Explanation) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name the sounds of several segments: label, and the segments that stay; none is silent."""
    every, evidence = range(len(explanation.extents)), explanation.evidence
    named = evidence.segments
    role = "lowering" if evidence.kind == "lowers" else "supporting"
    groups = {"excerpt": ("Excerpt", tuple(every)), "support": (f"Only the {role} parts", named)}
    if named:
        groups["rest"] = ("Everything else", tuple(i for i in every if i not in named))
    for i, (name, segments) in enumerate(_sources(explanation).items()):
        groups[f"source{i}"] = (name, segments)
    if decision_of(explanation) is not None:
        sets = decisive_sets(explanation)
        groups["enough"] = ("The smallest part that keeps it", sets.sufficient[0].segments)
        for flipping in sets.flipping[:1]:
            others = tuple(i for i in every if i not in flipping.segments)
            groups["without"] = ("All but the smallest part that changes it", others)
    return {key: (label, kept) for key, (label, kept) in groups.items() if kept}


def _key_of(groups: Mapping[str, tuple[str, tuple[int, ...]]], key: str) -> str:
    """Return the first key whose sound is that of a key: no sound is on a page twice."""
    wanted = sorted(groups[key][1])
    same = (other for other in groups if other == key or sorted(groups[other][1]) == wanted)
    return key if key in _FIRST else next(same)


def _note(explanation: Explanation, kept: Sequence[int]) -> str:
    output = coalition_output(explanation, kept)
    return "" if output is None else f"the model gives {number(output)}"


def gain_of(clips: Sequence[Tensor]) -> float:
    """Return the gain that keeps all sounds within full scale, at most 1."""
    return 1 / max([1.0, *(float(clip.abs().max()) for clip in clips if clip.numel())])


def data_uris(
    clips: list[Tensor], *, sr: int, lossless_bytes: int = _LOSSLESS_BYTES, n_exact: int = 0
) -> list[str]:
    """Encode sounds in one format and with one gain, so that their levels compare.

    The first ``n_exact`` have 24 bits whatever their size; the others 16, or Vorbis if they are
    long.
    """
    gain = gain_of(clips)
    shortest = min((clip.shape[-1] for clip in clips), default=0)
    lossless = "WAV" if shortest <= _FLAC_BLOCK else "FLAC"

    def encoded(clip: Tensor, bits: int) -> bytes:
        return encode_audio(clip * gain, sr=sr, format=lossless, subtype=f"PCM_{bits}")

    exact, others = clips[:n_exact], clips[n_exact:]
    mime, files = f"audio/{lossless.lower()}", [encoded(clip, 16) for clip in others]
    uris = [data_uri(mime, encoded(clip, 24)) for clip in exact]
    if sum(map(len, files)) <= lossless_bytes:
        return uris + [data_uri(mime, content) for content in files]
    vorbis = (encode_audio(clip * gain, sr=sr, format="OGG") for clip in others)
    return uris + [data_uri("audio/ogg", content) for content in vorbis]


def data_uri(mime: str, content: bytes) -> str:
    """Write the content of a file as a URI."""
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


def lossless_uri(y: Tensor, sr: float) -> str:
    """Encode one sound [sample] without loss, 16 bits."""
    content = encode_audio(y, sr=round(sr), format="FLAC", subtype="PCM_16")
    return data_uri("audio/flac", content)
