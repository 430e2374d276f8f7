"""What an adversary shows, in plain words, and what must be said against it."""

from __future__ import annotations

import math

from otoscope.attack.evaluation import Evaluation
from otoscope.report._facts import Fact
from otoscope.report._phrases import decimals, number

__all__ = ["aim", "cautions", "facts", "sentence"]

_AUDIBLE_DB = 20.0  # noise this near to a segment's level is heard in most music


def aim(found: Evaluation) -> str:
    """Name what the confidences are in.

    Parameters
    ----------
    found : Evaluation
        Of a written adversary.

    Returns
    -------
    str
        A label in quotes, or "anything but" one.

    Examples
    --------
    >>> aim(found)  # doctest: +SKIP
    '“not singing”'
    """
    if found.targeted:
        return f"“{found.aim}”"
    return f"“{found.heard_after}”" if found.success else f"anything but “{found.aim}”"


def sentence(found: Evaluation, *, model: str = "the model") -> str:
    """Say what was heard before and after, and whether the bound held.

    Parameters
    ----------
    found : Evaluation
        Of a written adversary.
    model : str
        What it is called.

    Returns
    -------
    str
        Two sentences, plain text.

    Examples
    --------
    >>> sentence(found)  # doctest: +SKIP
    'Fooled: the model heard “not singing” and hears “singing” in the file (0.19, now 0.91). ...'
    """
    confidence = f"{number(found.confidence_before)}, now {number(found.confidence_after)}"
    if found.success:
        heard = (
            f"Fooled: {model} heard “{found.heard_before}” and hears “{found.heard_after}” in the "
            f"file (confidence {confidence})."
        )
    else:
        heard = (
            f"Not fooled: {model} hears “{found.heard_after}” in the file "
            f"(confidence in {aim(found)} {confidence})."
        )
    return f"{heard} {_bound(found)}"


def cautions(found: Evaluation) -> list[str]:
    """Say what a reader must know before believing in it.

    Parameters
    ----------
    found : Evaluation
        Of a written adversary.

    Returns
    -------
    list of str
        Sentences; none if all is well.

    Examples
    --------
    >>> cautions(found)  # doctest: +SKIP
    []
    """
    told = []
    if found.success_before_writing and not found.success:
        told.append("Rounding to 16 bits undid it: the sound fooled the model, the file does not.")
    if found.segmental_snr_db == -math.inf:
        told.append("Something was added to digital silence: there it can be heard.")
    elif found.segmental_snr_db < _AUDIBLE_DB:
        told.append(
            f"In its worst 25 ms the ratio is {_db(found.segmental_snr_db)}: there the change may "
            "be heard."
        )
    if found.clipped:
        told.append(f"{found.clipped:,} samples of the adversary do not fit the file: clipped.")
    if found.clipped_before:
        told.append(f"{found.clipped_before:,} samples of the original are at full scale: clipped?")
    if found.inconsistency_after and found.inconsistency_after > 0.01:
        told.append(
            "The spectrum that was aimed at is that of no sound "
            f"(inconsistency {number(found.inconsistency_after)})."
        )
    if found.success:
        told.append(_defence(found))
    return told


def facts(found: Evaluation, *, model: str = "", start: float = 0.0) -> list[Fact]:
    """List what was measured.

    Parameters
    ----------
    found : Evaluation
        Of a written adversary.
    model : str
        What it is called.
    start : float
        Second of the recording at which the excerpt begins.

    Returns
    -------
    list of Fact
        Each with a word on what it means.

    Examples
    --------
    >>> facts(found)[0].name  # doctest: +SKIP
    'Excerpt'
    """
    guaranteed = found.snr_guaranteed_db
    promise = "" if guaranteed is None else f"; rounding leaves at least {_db(guaranteed)}"
    asked, ratio = _db(found.snr_asked_db), found.magnitude_snr_db
    return [
        *([Fact("Model", model)] if model else []),
        Fact("Excerpt", f"{start:.2f}–{start + found.seconds:.2f} s, {found.sr:,.0f} Hz"),
        Fact("Heard before", found.heard_before),
        Fact("Heard in the file", found.heard_after),
        Fact(
            f"Confidence in {aim(found)}",
            f"{decimals(found.confidence_before, 3)} → {decimals(found.confidence_after, 3)}",
        ),
        Fact("Steps", str(found.iterations)),
        Fact("Signal-to-noise ratio", _db(found.snr_db), f"asked: {asked}{promise}"),
        Fact("Where the original sounds", _db(found.support_snr_db), "without digital silence"),
        Fact("Worst 25 ms", _db(found.segmental_snr_db), "where a change is heard first"),
        Fact(
            "Inconsistency",
            f"{_small(found.inconsistency_before)} → {_small(found.inconsistency_after)}",
            "0: the spectrum aimed at is that of a sound",
        ),
        *([Fact("Ratio of magnitudes", _db(ratio), "what was bounded")] if ratio else []),
        Fact("Clipped samples", f"{found.clipped:,}"),
    ]


def _bound(found: Evaluation) -> str:
    asked, measured = _db(found.snr_asked_db), _db(found.snr_db)
    if found.snr_db == math.inf:
        return "The sound is unchanged."
    if found.snr_guaranteed_db is None:
        return f"The bound was on magnitudes: {asked} asked, {measured} measured on the sound."
    if found.snr_db >= found.snr_asked_db:
        return f"The bound held on the file: {asked} asked, {measured} measured."
    if found.snr_db >= found.snr_guaranteed_db:
        return f"The bound held: {asked} asked; rounding to 16 bits left {measured} in the file."
    return f"The bound did not hold: {asked} asked, {measured} measured."


def _defence(found: Evaluation) -> str:
    """At which cut-offs the original is still heard as it was, and the adversary as well."""
    if not found.low_pass:
        return "No low-pass filter was tried."
    keeps = [row for row in found.low_pass if row.original == found.heard_before]
    cures = [row.cutoff_hz for row in keeps if row.adversary == found.heard_before]
    if not keeps:
        return "No low-pass filter leaves the original heard as it was."
    if not cures:
        return (
            "No low-pass filter undoes it: wherever the original is still heard as it was, the "
            "adversary is not."
        )
    return f"A low-pass filter undoes it: at {', '.join(f'{hz:g}' for hz in cures)} Hz."


def _db(value: float) -> str:
    if math.isinf(value):
        return "∞ dB" if value > 0 else "\N{MINUS SIGN}∞ dB"
    return f"{decimals(value)} dB"


def _small(value: float | None) -> str:
    if value is None:
        return "–"
    return "0" if value < 1e-6 else f"{value:.2g}"
