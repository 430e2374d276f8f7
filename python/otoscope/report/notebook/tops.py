"""The top of a report for a notebook: its sentence, picture and players in a frame.

A frame keeps the style and the script of the page apart from those of the notebook. It needs no
network, and is left out, except for the text, where a notebook is not trusted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import singledispatch
from html import escape
from typing import Any

import torch
from torch import Tensor

from otoscope.attack import AttackResult
from otoscope.explain import Explanation
from otoscope.explain.maximise import MaximisationResult
from otoscope.explain.waveform import Waveform, picture_of
from otoscope.intervene.interrogation.result import InterrogationResult
from otoscope.protocols import Patch
from otoscope.report.adversary import FLAT, is_flat, khz_ticks, panels, sounds_of
from otoscope.report.explanation import explanation_page
from otoscope.report.geometry import mel_ticks, time_span, time_unit, wave_path
from otoscope.report.interrogation.page import interrogation_page
from otoscope.report.interrogation.text import typeset
from otoscope.report.interrogation.verdict import verdict_text
from otoscope.report.maximisation import Specimen, loudness_scale, side
from otoscope.report.numbers import decibels, number, significant, ticks
from otoscope.report.pages import content_of, render
from otoscope.report.sentences import others, sentence
from otoscope.report.sounds import DECISIVE_KEYS

__all__ = ["LIMIT", "headline", "html", "is_plane", "is_waveform", "patch_of"]

LIMIT = 3_000_000
"""Largest number of characters of a frame; a notebook keeps every output."""

_HEIGHT = 560  # pixels, until the page says how high it is
_PAIRS = 3
_SPECIMENS = ("Furthest", "Second", "Third")

Content = dict[str, Any]


@singledispatch
def headline(result: object) -> str:
    """Return the sentence at the top of the report of a result.

    Parameters
    ----------
    result : Explanation, AttackResult, InterrogationResult or MaximisationResult
        Result to put into words.

    Returns
    -------
    str
        Text in one line.

    Examples
    --------
    >>> from otoscope.explain import SoundLIME
    >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
    >>> headline(lime.explain(torch.ones(4, 1)))[:35]
    'The model says “output 3” with 1.00'
    """
    raise TypeError(f"{type(result).__name__} has no report")


@headline.register
def _(result: Explanation) -> str:
    return " ".join(filter(None, [sentence(result), others(result)]))


@headline.register
def _(result: AttackResult) -> str:
    return _attack_sentence(result, result.shown)


@headline.register
def _(result: InterrogationResult) -> str:
    return typeset(verdict_text(result).sentence, is_sentence=True)


@headline.register
def _(result: MaximisationResult) -> str:
    return _maximisation_sentence(result)


@singledispatch
def html(result: object) -> str:
    """Return the top of the report of a result.

    Parameters
    ----------
    result : Explanation, AttackResult, InterrogationResult or MaximisationResult
        Result to show.

    Returns
    -------
    str
        HTML of at most `LIMIT` characters: a frame that needs no network.

    Examples
    --------
    >>> import torch
    >>> from otoscope.explain import SoundLIME
    >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
    >>> html(lime.explain(torch.ones(4, 1)))[:7]
    '<iframe'
    """
    raise TypeError(f"{type(result).__name__} has no report")


@html.register
def _(result: Explanation) -> str:
    def content(has_sounds: bool) -> Content:
        page = explanation_page(result)
        # The players of the smallest sets are below the top: their sounds stay in the report.
        sounds = [sound for sound in page.sounds if sound.key not in DECISIVE_KEYS]
        if not has_sounds:
            page, sounds = replace(page, listening_note=""), []
        return content_of(replace(page, sounds=sounds))

    return _framed(content, "explanation.html", headline(result))


@html.register
def _(result: AttackResult) -> str:
    row = result.shown
    x, y = (sound[row].detach().cpu() for sound in (result.original, result.sound))
    sr, n, fooled = result.sr, len(result.sound), bool(result.success[row])
    before, after = (
        float(confidence[row]) for confidence in (result.confidence_before, result.confidence_after)
    )
    notes = (f"confidence {number(before)}", f"confidence {number(after)}")
    of_which = "" if n == 1 else f"Sound {row} of {n} · "

    def content(has_sounds: bool) -> Content:
        return {
            "title": "Adversary" if n == 1 else f"{n} adversaries",
            "about": f"{of_which}{_aim(result, row)}",
            "sentence": headline(result),
            "cautions": [
                *([FLAT] if is_flat(result.confidence[row].tolist(), success=fooled) else []),
                "Writing a file rounds the sound: count success on the file, with evaluate().",
            ],
            "sounds": sounds_of(x, y, sr, notes) if sr and has_sounds else [],
            "panels": panels(x, y, sr or 1),
            "time_ticks": ticks(0, len(x) / (sr or 1)),
            "time_unit": "s" if sr else "sample",
            "khz_ticks": khz_ticks(sr or 1000),
            "frequency_unit": "kHz" if sr else "× rate",
        }

    return _framed(content, "adversary.html", headline(result))


@html.register
def _(result: InterrogationResult) -> str:
    shown = replace(result, pairs=result.pairs[:_PAIRS])

    def content(has_sounds: bool) -> Content:
        render_pair = result.render_pair if has_sounds else None
        return content_of(interrogation_page(shown, render_pair=render_pair))

    return _framed(content, "interrogation.html", headline(result))


@html.register
def _(result: MaximisationResult) -> str:
    rows = result.order[: len(_SPECIMENS)]
    inputs = [result.input[row].detach().cpu() for row in rows]
    text = headline(result)
    are_sounds = all(map(is_waveform, inputs))
    if not rows or not (are_sounds or all(map(is_plane, inputs))):
        return f"<p>{escape(text)}</p>"

    def content(has_sounds: bool) -> Content:
        specimens = []
        for label, row, values in zip(_SPECIMENS, rows, inputs, strict=False):
            seed, activation = result.seeds[row], float(result.activation[row])
            patch, wave = patch_of(result, values, seed if has_sounds else None), ""
            if are_sounds:
                n_samples = len(patch.values) * (patch.hop_length or 1)
                wave = wave_path(values.flatten().float(), n_samples)
            specimens.append(Specimen(label, patch, activation, f"seed {seed}", wave=wave))
        patch = specimens[0].patch
        scale = loudness_scale([specimen.patch for specimen in specimens])
        return {
            "title": f"What drives {result.unit}?",
            "about": str(result.setting),
            "sentence": text,
            "cautions": [],
            "sides": [side("made", "Made up", specimens, scale)],
            "scale_of": "these inputs",
            "are_sounds": are_sounds,
            "time_ticks": ticks(*time_span(patch), most=5),
            "time_unit": time_unit(patch),
            "mel_ticks": [tick for tick in mel_ticks(patch) if 5 < tick.at < 95],
            "mel_unit": "" if patch.mel_hz is None else "Hz",
        }

    return _framed(content, "maximisation.html", text)


def _framed(content: Callable[[bool], Content], template: str, text: str) -> str:
    """Render the page, without its sounds if it is too large with them, as a frame."""
    n_characters = 0
    for has_sounds in (True, False):
        names = content(has_sounds)
        if not has_sounds:
            note = (
                f"The sounds are left out: with them this output has {n_characters / 1e6:.1f} MB. "
                "The functions of otoscope.report write pages with all sounds."
            )
            names["cautions"] = [note, *names["cautions"]]
        page = render("notebook.html", {**names, "page_template": template, "framed": True})
        frame = (
            f'<iframe srcdoc="{escape(page)}" title="{escape(names["title"])}" '
            f'style="width:100%;height:{_HEIGHT}px;border:0">{escape(text)}</iframe>'
        )
        n_characters = len(frame)
        if n_characters <= LIMIT:
            return frame
    return f"<p>{escape(text)}</p>"


def _aim(result: AttackResult, row: int) -> str:
    if result.labels.ndim > 1:
        return "labels per frame"
    label, names = int(result.labels[row]), result.label_names
    name = f"“{names[label]}”" if label < len(names) else f"label {label}"
    return f"to reach {name}" if result.targeted else f"to leave {name}"


def _attack_sentence(result: AttackResult, row: int) -> str:
    n, n_fooled = len(result.sound), int(result.success.sum())
    before, after = (
        number(float(confidence[row]))
        for confidence in (result.confidence_before, result.confidence_after)
    )
    change = (
        f"the confidence in the aim went from {before} to {after}, at a signal-to-noise ratio of "
        f"{decibels(float(result.snr_db[row]))}"
    )
    if n == 1:
        return f"{'Fooled' if n_fooled else 'Not fooled'}: {change}."
    return f"Fooled by {n_fooled} of {n} sounds. Sound {row}: {change}."


def _maximisation_sentence(result: MaximisationResult) -> str:
    direction, n = "up" if result.maximise else "down", len(result.seeds)
    if not result.order:
        return f"None of {n} searches met a finite activation of {result.unit}."
    best = significant(float(result.activation[result.best]))
    searches = "The search drives" if n == 1 else f"The best of {n} searches drives"
    failed = f" {result.n_failed} met a NaN or an infinity and stopped." if result.n_failed else ""
    if bool(result.flat.all()):
        failed += " The gradient was 0 from start to end: the searches stayed where they began."
    return f"{searches} {result.unit} {direction} to {best}.{failed}"


def is_plane(values: Tensor) -> bool:
    """Whether an input is one spectrogram, [1, frame, mel] or [frame, mel]."""
    return values.ndim >= 2 and values.numel() == values.shape[-2] * values.shape[-1] > 1


def is_waveform(values: Tensor) -> bool:
    """Whether an input is one waveform: one axis of more than one value."""
    return values.ndim >= 1 and values.shape[-1] == values.numel() > 1


def patch_of(result: MaximisationResult, values: Tensor, seed: int | None) -> Patch:
    """Make a patch of an input [1, frame, mel], with sound if a seed of its phases is given.

    The patch of a waveform is its spectrogram; its sound is scaled to a peak of at most 1.
    """
    if is_waveform(values):
        patch = picture_of(Waveform(values.flatten().to(torch.float32), result.sr))
        return replace(patch, y=None) if seed is None else _within_full_scale(patch)
    values = values.reshape(values.shape[-2:])
    if result.inversion is None:
        return Patch(values.to(torch.float32))
    y = None if seed is None else result.inversion.sound(values, seed=seed)
    return result.inversion.patch(values, y)


def _within_full_scale(patch: Patch) -> Patch:
    """Turn the sound of a patch down if it goes beyond full scale."""
    peak = 0.0 if patch.y is None else float(patch.y.abs().max())
    return patch if patch.y is None or peak <= 1 else replace(patch, y=patch.y / peak)
