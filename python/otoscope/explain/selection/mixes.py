"""Mixes of stems: excerpts without voice, some of whose segments are replaced by the voice's.

The segments that hold the voice are known, so that an explanation of the model's "singing" can be
checked. Values are replaced, sounds are not added: a segment is voice alone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.segments import Segmentation, Segments, resolve
from otoscope.protocols import (
    ListeningModel,
    Patch,
    Target,
    call_model,
    choose_targets,
    evaluating,
)
from otoscope.seeds import numpy_generator

__all__ = ["StemMix", "answer", "draw_mixes", "replace_segments"]


@dataclass(frozen=True, eq=False)
class StemMix:
    """Hold an excerpt without voice, some of whose segments are the voice's.

    Parameters
    ----------
    patch : Patch
        Excerpt.
    truth : tuple of int
        Segments that the voice replaced, ascending.
    song : str
        Name of the song.
    position : int
        Number of the excerpt within the song.
    voiced : tuple of bool
        Whether the voice sounds in each of these segments: its loudest frame is within 40 dB of the
        loudest of the song. A singer pauses, and a pause is no voice.

    Examples
    --------
    >>> StemMix(Patch(torch.zeros(4, 1)), (2,), "a", 0, (True,)).truth
    (2,)
    """

    patch: Patch
    truth: tuple[int, ...]
    song: str
    position: int
    voiced: tuple[bool, ...]

    @property
    def is_voiced(self) -> bool:
        """Whether the voice sounds in all segments that it replaced."""
        return all(self.voiced)


def replace_segments(
    backing: Patch, voice: Patch, segments: Segments, replaced: Collection[int]
) -> Patch:
    """Replace segments of an excerpt by those of another one.

    Parameters
    ----------
    backing, voice : Patch
        Excerpts of one shape.
    segments : Segments
        Segments of both.
    replaced : collection of int
        Segments that are taken from ``voice``.

    Returns
    -------
    Patch
        Values as they are in either excerpt; the sound follows where segments are blocks in time.

    Raises
    ------
    ParameterError
        If the shapes differ or a segment does not exist.

    Examples
    --------
    >>> from otoscope.explain import segments
    >>> quiet, loud = Patch(torch.zeros(4, 1)), Patch(torch.ones(4, 1))
    >>> cut = segments.temporal(2)(quiet)
    >>> replace_segments(quiet, loud, cut, [1]).values.flatten().tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    if backing.values.shape != voice.values.shape:
        raise ParameterError(
            f"backing has shape {tuple(backing.values.shape)}, voice {tuple(voice.values.shape)}; "
            "both stems must be of one length and rate"
        )
    if wrong := [i for i in replaced if not 0 <= i < len(segments)]:
        raise ParameterError(f"replaced has {wrong}; there are segments 0..{len(segments) - 1}")
    ids = segments.map.ids
    is_voice = torch.isin(ids, torch.tensor(sorted(replaced), dtype=ids.dtype, device=ids.device))
    values = torch.where(is_voice, voice.values, backing.values)
    return replace(backing, values=values, y=_sound(backing, voice, is_voice.cpu()))


def draw_mixes(  # noqa: PLR0913 - the numbers of the recipe, all keyword-only
    model: ListeningModel,
    voice: Tensor,
    backing: Tensor,
    *,
    song: str = "",
    segments: str | Segmentation = "temporal:10",
    n_positions: int = 5,
    n_mixes: int = 4,
    n_replaced: int = 3,
    skip: int = 200,
    seed: int = 0,
) -> list[StemMix]:
    """Draw excerpts of a song's backing, and replace segments drawn at random by the voice's.

    Parameters
    ----------
    model : ListeningModel
        Model whose front end makes the excerpts.
    voice, backing : Tensor [sample]
        Stems at the model's sample rate.
    song : str
        Name of the song.
    segments : str or Segmentation
        Segments, the same in all excerpts: "temporal:10".
    n_positions : int
        Number of excerpts, >= 1.
    n_mixes : int
        Number of mixes of each excerpt, >= 1.
    n_replaced : int
        Number of segments that are replaced in a mix, fewer than there are.
    skip : int
        Frames that are left out at either end of the song.
    seed : int
        Random seed of positions and segments.

    Returns
    -------
    list of StemMix
        ``n_positions * n_mixes`` mixes; which of them the model hears is for the caller to ask.

    Raises
    ------
    ParameterError
        If the stems differ in length, the song is too short, or a number is out of range.

    References
    ----------
    Mishra et al. (2020) :cite:`mishra2020`, section V.

    Examples
    --------
    >>> from otoscope.data import synthesise
    >>> from otoscope.models import load
    >>> song = synthesise(0)
    >>> voice, backing = torch.from_numpy(song.voice), torch.from_numpy(song.backing)
    >>> len(draw_mixes(load("synth-singing"), voice, backing, n_positions=1))
    4
    """
    if voice.shape != backing.shape or voice.ndim != 1:
        raise ParameterError(
            f"the voice of {song or 'the song'} has shape {tuple(voice.shape)}, its backing "
            f"{tuple(backing.shape)}; stems must be [sample], of one length and rate"
        )
    if min(n_positions, n_mixes, n_replaced) < 1 or skip < 0:
        raise ParameterError(
            f"n_positions is {n_positions}, n_mixes {n_mixes}, n_replaced {n_replaced} and skip "
            f"{skip}; need >= 1, 1, 1 and 0"
        )
    hop, rate = model.hop_length, model.sample_rate
    n_starts = (len(voice) - _excerpt_samples(model)) // hop + 1 - 2 * skip
    if n_starts < 1:
        raise ParameterError(
            f"{song or 'the song'} lasts {len(voice) / rate:.2f} s, too short for an excerpt of "
            f"{model.patch_frames * hop / rate:.2f} s and {skip} frames "
            f"({skip * hop / rate:.2f} s) left out at either end: give a longer song or less skip"
        )
    rng = numpy_generator(seed)
    cut, mixes = resolve(segments), []
    loudest = _power(voice, hop).max()
    for position, first in enumerate(rng.integers(n_starts, size=n_positions)):
        start = int(first + skip) * hop / rate
        parts = [model.patch((y, rate), start=start) for y in (voice, backing)]
        pieces = cut(parts[1])
        if n_replaced >= len(pieces):
            raise ParameterError(f"n_replaced is {n_replaced} of {len(pieces)} segments")
        for _ in range(n_mixes):
            chosen = rng.choice(len(pieces), n_replaced, replace=False)
            truth = tuple(sorted(map(int, chosen)))
            mixes.append(
                StemMix(
                    replace_segments(parts[1], parts[0], pieces, truth),
                    truth,
                    song,
                    position,
                    tuple(_sounds(parts[0], pieces, i, hop, float(loudest)) for i in truth),
                )
            )
    return mixes


def answer(model: Any, target: Target, patch: Patch) -> float:
    """Ask a model for one output for an excerpt."""
    with torch.no_grad(), evaluating(model):
        outputs = call_model(model, patch.values[None, None])[0]
    (column,) = choose_targets(target, len(outputs), model.output_names).values()
    return float(outputs[column])


def _excerpt_samples(model: Any) -> int:
    samples: int = getattr(model, "excerpt_samples", model.patch_frames * model.hop_length)
    return samples


def _power(y: Tensor, hop: int) -> Tensor:
    """Compute the power of each whole hop of a sound."""
    n = max(1, len(y) // hop)
    return y[: n * hop].double().square().unfold(0, min(hop, len(y)), hop).mean(1)


def _sounds(voice: Patch, segments: Segments, segment: int, hop: int, loudest: float) -> bool:
    first, last = segments.extents[segment].frames
    if voice.y is None or loudest == 0:
        return False
    return float(_power(voice.y[first * hop : last * hop], hop).max()) > 1e-4 * loudest


def _sound(backing: Patch, voice: Patch, is_voice: Tensor) -> Tensor | None:
    """Join the sounds where the frames of a mask are of one kind in all bands."""
    if backing.y is None or voice.y is None or backing.hop_length is None:
        return None
    if bool((is_voice != is_voice[:, :1]).any()):
        return None
    of_samples = is_voice[:, 0].repeat_interleave(backing.hop_length)
    n = min(len(backing.y), len(of_samples))
    mixed: Tensor = torch.where(of_samples[:n], voice.y[:n], backing.y[:n])
    return mixed
