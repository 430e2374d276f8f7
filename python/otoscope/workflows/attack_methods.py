"""The attacks that the command knows by name, made from the settings of the command."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from torch import Tensor

from otoscope.attack import (
    AttackResult,
    MagnitudeAdversary,
    Mp3Coding,
    RandomGain,
    RandomNoise,
    RandomShift,
    WaveformPGD,
)
from otoscope.attack.base import Attack
from otoscope.attack.strong import (
    APGD,
    FABT,
    CarliniWagner,
    IterativeClipping,
    LeastNorm,
    Square,
    strong,
)
from otoscope.attack.strong.least_norm import Solver
from otoscope.attack.transforms import Transform
from otoscope.errors import ParameterError
from otoscope.progress import Progress
from otoscope.workflows.attack_result import AttackFileConfig

__all__ = ["METHODS", "Search", "make_search", "needs_gradient"]

METHODS = ("pgd", "magnitude", "apgd", "fab", "cw", "clipping", "square", "strong", "least-norm")
"""Names of the attacks."""

_NEAREST = ("pgd", "magnitude", "apgd", "square", "least-norm")  # whose ratio may be bisected
_KINDS: dict[str, type[Attack]] = {
    "pgd": WaveformPGD,
    "magnitude": MagnitudeAdversary,
    "apgd": APGD,
    "fab": FABT,
    "cw": CarliniWagner,
    "clipping": IterativeClipping,
    "square": Square,
    "strong": APGD,
    "least-norm": APGD,
}
_NORMED = ("pgd", "apgd", "square", "strong", "least-norm")
_QUERIES = 10  # of Square, for each step


@dataclass(frozen=True, eq=False)
class Search:
    """An attack to run, and the attack by whose bound and criterion the file is judged."""

    attack: Attack
    run: Callable[[Tensor, Progress], AttackResult]


def make_search(model: Any, config: AttackFileConfig, label: int | None = None) -> Search:
    """Make the attack that the settings name; ``label`` is the target, if there is one."""
    method = method_of(config)
    kind = _KINDS[method]
    settings: dict[str, Any] = {
        "snr_db": config.snr_db,
        "steps": config.steps * (_QUERIES if method == "square" else 1),
        "restarts": config.restarts,
        "confidence": config.confidence,
        "segmental_snr_db": config.segmental_snr_db,
        "masking": config.masking,
        "transforms": transforms_of(config.transforms, getattr(model, "sample_rate", None)),
        "draws": config.draws,
        "seed": config.seed,
    }
    if method in _NORMED:
        settings["norm"] = config.norm
    elif config.norm != "l2":
        raise ParameterError(
            f"norm is {config.norm!r}, method {method} has l2 only; choose one of "
            f"{', '.join(_NORMED)}"
        )
    attack = kind(model, **settings)
    if label is not None:
        attack = attack.targeted(label)
    if config.nearest or method == "least-norm":
        return _nearest(attack, method)
    if method == "strong":
        ensemble = strong(cast(APGD, attack))
        return Search(attack, lambda x, progress: ensemble.run(x, progress=progress))
    return Search(attack, lambda x, progress: attack.run(x, progress=progress))


def needs_gradient(config: AttackFileConfig) -> bool:
    """Whether the method needs a differentiable model."""
    return _KINDS[method_of(config)].needs_gradient


def method_of(config: AttackFileConfig) -> str:
    """Return the name of the attack: ``method``, or that of ``domain``."""
    if config.domain not in ("waveform", "magnitude"):
        raise ParameterError(f"domain is {config.domain!r}, must be waveform or magnitude")
    if config.method is None:
        if config.domain == "magnitude":
            return "magnitude"
        return "least-norm" if config.nearest else "pgd"
    if config.method not in METHODS:
        raise ParameterError(f"method is {config.method!r}, must be one of {', '.join(METHODS)}")
    if config.domain == "magnitude" and config.method != "magnitude":
        raise ParameterError(
            f"method is {config.method!r} beside domain 'magnitude', whose method is magnitude: "
            "choose one"
        )
    return config.method


def transforms_of(specs: tuple[str, ...], sr: float | None) -> tuple[Transform, ...]:
    """Make random transforms from texts: "gain:3" (dB), "shift:80" (samples), "noise:30", "mp3:64".

    Raises
    ------
    ParameterError
        If a text has another form, or its number does not fit.
    """
    makers: dict[str, Callable[[float], Transform]] = {
        "gain": RandomGain,
        "shift": lambda samples: RandomShift(int(samples)),
        "noise": RandomNoise,
        "mp3": lambda bitrate: Mp3Coding(round(sr or 22050), bitrate=int(bitrate)),
    }
    made = []
    for spec in specs:
        name, _, number = spec.partition(":")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        is_whole = name not in ("shift", "mp3") or value.is_integer()
        if name not in makers or not math.isfinite(value) or not is_whole:
            raise ParameterError(
                f"transforms has {spec!r}, must be gain:DB, shift:SAMPLES, noise:DB or mp3:KBIT"
            )
        made.append(makers[name](value))
    return tuple(made)


def _nearest(attack: Attack, method: str) -> Search:
    """Bisect the ratio; the adversary is where the prediction of 16-bit samples changes."""
    if method not in _NEAREST:
        raise ParameterError(
            f"method is {method!r}, the nearest adversary is searched for with one of "
            f"{', '.join(_NEAREST)}"
        )
    bare = replace(cast(Solver, attack), confidence=None)
    least = LeastNorm(bare, in_16_bits=True)
    judged = replace(bare, snr_db=least.lowest_db)
    return Search(judged, lambda x, progress: least.run(x, progress=progress))
