"""Sentences about an explanation: the model's output, the segments it rests on, and cautions.

A segment speaks for the output if its coefficient is above 0, against it if below. Sentences name
the segments of `Explanation.evidence`; where none are named, the smallest sets of segments that
keep or change the answer, which the outputs of the coalitions prove, whatever the model is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from otoscope.explain import DecisiveSet, DecisiveSets, Evidence, Explanation, decisive_sets
from otoscope.explain.fit.decisive import decision_of
from otoscope.explain.fit.evidence import coalition_output, is_constant, is_probability
from otoscope.explain.segments import Extent
from otoscope.report.numbers import UNKNOWN, decimals, number, percent

__all__ = [
    "because",
    "cautions",
    "join",
    "others",
    "place",
    "places",
    "r2",
    "sentence",
]

_ALL = 0.95  # share of the change from which on all of it rests on the named segments
_OTHERS = 3  # targets beside the one shown that are told
_SMALL = 0.005  # outputs below it, of 1 or of their span, are nothing
_NBSP = "\N{NO-BREAK SPACE}"


def sentence(explanation: Explanation) -> str:
    """Say what the model outputs, how much of it needs nothing, and on what the rest rests."""
    opening, evidence = _output_clause(explanation), explanation.evidence
    if evidence.kind == "none":
        return f"{opening}, whichever segments are occluded: no segment explains it."
    none, whole = explanation.output_none, explanation.output_all
    if evidence.kind == "untold":
        replaced = "" if none is None else f", and {number(none)} with every segment replaced"
        told = [f"{opening}{replaced}.", f"{_not_told(explanation, evidence)}."]
        proven = _proven(explanation) if evidence.reason == "r2" or _sets_named(explanation) else []
        return " ".join([*told, *proven, *_for_want_of_rate(explanation)])
    if evidence.kind == "raises" and none is not None and 0 <= none < whole:
        clause = _parts(explanation, evidence, none)
    else:
        clause = "" if none is None else f", and {number(none)} with every segment replaced"
        clause += f"; what {evidence.kind} it most is {_at(explanation, evidence.segments)}"
    proof = _proof(explanation, evidence.segments)
    return " ".join([f"{opening}{clause}.", *proof, *_for_want_of_rate(explanation)])


def others(explanation: Explanation) -> str:
    """Say what the model outputs for the other targets, and why; empty if there are none."""
    shown = [name for name in explanation.targets if name != explanation.target]
    if not shown:
        return ""
    told = [
        f"“{name}” {number(other.output_all)} ({because(other)})"
        for name in shown[:_OTHERS]
        for other in [explanation[name]]
    ]
    more = f"; {len(shown) - _OTHERS} more" * (len(shown) > _OTHERS)
    return f"Also explained: {'; '.join(told)}{more}."


def because(explanation: Explanation) -> str:
    """Name the places of the evidence, or say briefly why none are named, and the smallest sets."""
    evidence = explanation.evidence
    if evidence.kind == "none":
        return "no segment"
    if evidence.kind == "untold":
        reason, proven = _reason(explanation, evidence), _sets_named(explanation)
        is_sum = evidence.reason != "r2" or not proven
        return "; ".join([f"not told: {reason}" if is_sum else f"no sum fits ({reason})", *proven])
    return f"{'lowered by ' * (evidence.kind == 'lowers')}{_at(explanation, evidence.segments)}"


def r2(explanation: Explanation) -> str:
    """Write R² with two decimals, or a dash if it has no meaning."""
    return UNKNOWN if explanation.is_saturated else decimals(explanation.r2)


def cautions(explanation: Explanation) -> list[str]:
    """List reasons for caution with the numbers, in sentences."""
    sound = explanation.patch.y
    notes = []
    if sound is not None and not sound.any():
        notes.append("This excerpt is digital silence: the output is the answer to no sound.")
    if is_constant(explanation):
        return notes
    n_segments, effective = len(explanation.extents), explanation.effective_samples
    if explanation.is_saturated:
        notes.append("There are as many outputs as unknowns: R² has no meaning here.")
    elif not explanation.r2 >= 0.8:
        fits = "only in part" if explanation.r2 >= 0.5 else "badly"
        notes.append(
            f"A sum over segments fits the model’s outputs {fits} (R² {r2(explanation)}; off by "
            f"{number(explanation.local_error)} for the excerpt itself): segments interact, and "
            "single numbers are hints."
        )
    if effective < 2 * n_segments and not _needs_no_average(explanation):
        notes.append(
            f"The effective number of samples is {effective:.1f} for {n_segments} segments; "
            f"{2 * n_segments} are needed to trust them."
        )
    return notes


def _output_without(explanation: Explanation, segments: Sequence[int]) -> float | None:
    """Return the output with these segments replaced, or None if it was not computed."""
    others = [i for i in range(len(explanation.extents)) if i not in segments]
    return coalition_output(explanation, others)


def place(explanation: Explanation, extent: Extent, *, decimals: int = 2) -> str:
    """Name the place of a segment on the axes that are cut, in seconds and Hz if known.

    Segments that are no boxes have a name only.
    """
    if not _are_boxes(explanation):
        return extent.name
    n_frames, n_bands = explanation.patch.values.shape
    frames, bands = (0, n_frames), (0, n_bands)
    whole_time = all(e.frames == frames for e in explanation.extents)
    whole_band = all(e.bands == bands for e in explanation.extents)
    parts = []
    if not whole_time or whole_band:
        parts.append(_time(explanation, extent, decimals))
    if not whole_band:
        parts.append(_frequency(extent))
    return ", ".join(parts)


def places(explanation: Explanation, segments: Sequence[int]) -> list[str]:
    """Name the places of segments in the order of time; neighbours are merged."""
    merged: list[Extent] = []
    extents = [explanation.extents[segment] for segment in segments]
    for extent in sorted(extents, key=lambda e: (e.bands, e.frames)):
        if merged and _are_boxes(explanation) and (whole := _union(merged[-1], extent)):
            merged[-1] = whole
        else:
            merged.append(extent)
    merged.sort(key=lambda e: (e.frames, e.bands))
    return [place(explanation, extent, decimals=1) for extent in merged]


def _output_clause(explanation: Explanation) -> str:
    value, target = number(explanation.output_all), explanation.target
    if not is_probability(explanation):
        return f"The model’s output “{target}” is {value}"
    if explanation.output_all < 0.5:
        return f"The model gives “{target}” {value}"
    return f"The model says “{target}” with {value}"


def _parts(explanation: Explanation, evidence: Evidence, none: float) -> str:
    """Divide an output: the part that needs nothing, and the part that rests on segments."""
    whole, outputs = explanation.output_all, explanation.outputs[:, explanation.selected]
    scale = 1 if is_probability(explanation) else float(outputs.max() - outputs.min())
    needs_nothing, other = "; ", "that"
    if none >= _SMALL * scale:
        needs_nothing = f"; {number(none)} of that needs nothing, "
        is_rounded = min(none, whole - none) >= _SMALL  # printed with two decimals, to be added up
        rest = round(whole, 2) - round(none, 2) if is_rounded else whole - none
        other = f"the other {number(rest)}"
    at = _at(explanation, evidence.segments)
    if evidence.share <= 0.5:
        return f"{needs_nothing}the reasons for {other} are spread out, most of all over {at}"
    amount = "most of " if evidence.share < _ALL else "all of " * (other == "that")
    return f"{needs_nothing}{amount}{other} rests on {at}"


def _not_told(explanation: Explanation, evidence: Evidence) -> str:
    """Say why no segments are named, as a sentence."""
    reason = _reason(explanation, evidence)
    if evidence.reason == "r2":
        return f"A sum over segments does not describe the model ({reason})"
    return f"Which segments it rests on cannot be told: {reason}"


def _proven(explanation: Explanation) -> list[str]:
    """Name the smallest sets that keep the answer alone, and that change it by their absence."""
    sets = _sets(explanation)
    if sets is None:
        return []
    answer, first = f"the answer “{sets.answer}”", sets.sufficient[0]
    if not first.segments and not sets.flipping:
        tried = "" if sets.flipping_is_exact else ", of those tried"
        return [f"T{answer[1:]} stays whichever segments are replaced{tried}."]
    keeps = f"keeps {answer} alone"
    stays = _smallest(explanation, sets.sufficient, keeps, is_exact=sets.sufficient_is_exact)
    if not first.segments:
        stays = f"{answer} stays with every segment replaced ({number(first.output)})"
    changes = "no removal changes it" if sets.flipping_is_exact else "no removal tried changes it"
    if sets.flipping:
        does = "changes it by its absence"
        changes = _smallest(explanation, sets.flipping, does, is_exact=sets.flipping_is_exact)
    return [f"{stays[0].upper()}{stays[1:]}; {changes}."]


def _smallest(
    explanation: Explanation, sets: Sequence[DecisiveSet], does: str, *, is_exact: bool
) -> str:
    """Name the first of the smallest sets, with its output, and say how many there are."""
    article, count = ("a", f", one of {len(sets)}") if len(sets) > 1 else ("the", "")
    tried, at = "" if is_exact else " tried", _at(explanation, sets[0].segments)
    output = number(sets[0].output)
    return f"{article} smallest set{tried} that {does} is {at} (output {output}){count}"


def _sets_named(explanation: Explanation) -> list[str]:
    """Name the sets of `_proven` by their places; none if no segment is in any."""
    sets = _sets(explanation)
    if sets is None:
        return []
    named = []
    for role, members, is_exact in (
        ("enough alone", sets.sufficient, sets.sufficient_is_exact),
        ("changed without", sets.flipping, sets.flipping_is_exact),
    ):
        if members and members[0].segments:
            count = f"one of {len(members)}" if len(members) > 1 else ""
            remarks = ", ".join(filter(None, [count, "" if is_exact else "of those tried"]))
            at = _at(explanation, members[0].segments)
            named.append(f"{role}: {at}{f' ({remarks})' if remarks else ''}")
    return named


def _sets(explanation: Explanation) -> DecisiveSets | None:
    return None if decision_of(explanation) is None else decisive_sets(explanation)


def _reason(explanation: Explanation, evidence: Evidence) -> str:
    """Give the reason why no segments are named, with its threshold."""
    settings = explanation.settings
    if evidence.reason == "r2":
        digits = 2 if round(explanation.r2, 2) < settings.min_r2 else 4
        return f"R² {decimals(explanation.r2, digits)}, below {settings.min_r2:g}"
    if evidence.reason == "removal":
        return "the output stays as it is without the strongest"
    if is_probability(explanation):
        return f"the change is below {settings.min_change:g}"
    return f"the change is below {percent(settings.min_change)} of the outputs’ span"


def _at(explanation: Explanation, segments: Sequence[int]) -> str:
    return join(places(explanation, segments))


def join(named: Sequence[str]) -> str:
    """Join the names of places by commas and "and"; by semicolons where they contain commas."""
    text = " and ".join(filter(None, ["; ".join(named[:-1]), *named[-1:]]))
    return text if any("," in name for name in named) else text.replace("; ", ", ")


def _for_want_of_rate(explanation: Explanation) -> list[str]:
    """Ask for the rate of a sound whose places are told in samples."""
    if explanation.mixture is None or explanation.patch.sr is not None:
        return []
    return ["No sampling rate came with the sound: with (y, sr) places are in seconds."]


def _proof(explanation: Explanation, supporting: Sequence[int]) -> list[str]:
    """Return the outputs for the evidence alone and without it, where they were computed."""
    alone, without = (
        coalition_output(explanation, supporting),
        _output_without(explanation, supporting),
    )
    if len(supporting) == len(explanation.extents) or alone is None or without is None:
        return []
    this, it = ("this", "it") if len(places(explanation, supporting)) == 1 else ("these", "them")
    return [f"With {this} alone it gives {number(alone)}; without {it}, {number(without)}."]


def _needs_no_average(explanation: Explanation) -> bool:
    """Whether each coefficient is a difference of outputs, or exact, however few count.

    Of few segments, such as two stems, there are no more coalitions than are there.
    """
    n = explanation.n_coalitions
    are_all = n == 2 ** len(explanation.extents)
    is_estimate = explanation.settings.kernel == "shapley"
    if explanation.design == "leave_one_out" or (is_estimate and are_all):
        return True
    return are_all and explanation.effective_samples >= n / 2


def _are_boxes(explanation: Explanation) -> bool:
    """Whether every segment fills its bounding box, so that the boxes do not overlap."""
    sizes = [(e.frames[1] - e.frames[0]) * (e.bands[1] - e.bands[0]) for e in explanation.extents]
    return sum(sizes) == explanation.patch.values.numel()


def _union(first: Extent, second: Extent) -> Extent | None:
    """Merge two extents that touch along one axis and agree on the other."""
    if first.bands == second.bands and first.frames[1] == second.frames[0]:
        seconds = (
            (first.seconds[0], second.seconds[1]) if first.seconds and second.seconds else None
        )
        return replace(first, frames=(first.frames[0], second.frames[1]), seconds=seconds)
    if first.frames == second.frames and first.bands[1] == second.bands[0]:
        hz = (first.hz[0], second.hz[1]) if first.hz and second.hz else None
        return replace(first, bands=(first.bands[0], second.bands[1]), hz=hz)
    return None


def _time(explanation: Explanation, extent: Extent, decimals: int) -> str:
    if extent.seconds is None and (hop := explanation.patch.hop_length):
        mixture, beyond = explanation.mixture, extent.frames[1] * hop
        beyond = beyond if mixture is None else min(beyond, len(mixture.kept))
        return f"samples {extent.frames[0] * hop:,}–{beyond - 1:,}"
    if extent.seconds is None:
        return f"frames {extent.frames[0]}–{extent.frames[1] - 1}"
    first, end = extent.seconds
    error = max(abs(bound - round(bound, decimals)) for bound in (first, end))
    if end - first < 0.15 or error > 0.05 * (end - first):
        decimals = 2
    return f"{first:.{decimals}f}–{end:.{decimals}f}{_NBSP}s"


def _frequency(extent: Extent) -> str:
    if extent.hz is None:
        return f"bands {extent.bands[0]}–{extent.bands[1] - 1}"
    low, high = (float(f"{hz:.2g}") for hz in extent.hz)
    if high < 1000:
        return f"{low:g}–{high:g}{_NBSP}Hz"
    if low < 1000:
        return f"{low:g}{_NBSP}Hz–{high / 1000:g}{_NBSP}kHz"
    return f"{low / 1000:g}–{high / 1000:g}{_NBSP}kHz"
