"""The attacks that the command knows by name, made from the settings of the command."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
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
    Universal,
    strong,
)
from otoscope.attack.strong.least_norm import Solver
from otoscope.attack.transforms import Transform
from otoscope.errors import Argument, Ignored, ParameterError, refuse_ignored
from otoscope.progress import Progress
from otoscope.workflows.attack_result import AttackFileConfig

__all__ = ["METHODS", "USED_BY", "Search", "check_options", "make_search", "needs_gradient"]

METHODS = (
    *("pgd", "magnitude", "apgd", "fab", "cw", "clipping", "square", "strong", "least-norm"),
    "universal",
)
"""Names of the attacks."""

_BOUNDED = tuple(method for method in METHODS if method != "least-norm")  # not with ``nearest``
_PROJECTED = ("pgd", "magnitude", "apgd", "square", "strong", "least-norm", "universal")

USED_BY: Mapping[str, tuple[str, ...]] = {
    "snr_db": _BOUNDED,
    "confidence": _BOUNDED,
    "segmental_snr_db": _PROJECTED,
    "transforms": _PROJECTED,
    "draws": _PROJECTED,
    "norm": ("pgd", "apgd", "square", "strong", "least-norm", "universal"),
    "restarts": tuple(method for method in METHODS if method != "universal"),
    "masking": ("pgd", "magnitude"),
    "nearest": ("pgd", "magnitude", "apgd", "square", "least-norm"),
}
"""Settings that not every method uses, each with the methods that do."""

_MOST_ADVISED = 6  # methods that an error names
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
    "universal": Universal,
}
_QUERIES = 10  # of Square, for each step


@dataclass(frozen=True, eq=False)
class Search:
    """An attack to run, and the attack by whose bound and criterion the file is judged."""

    attack: Attack
    run: Callable[[Tensor, Progress], AttackResult]


def make_search(
    model: Any,
    config: AttackFileConfig,
    label: int | None = None,
    *,
    direction: Tensor | None = None,
) -> Search:
    """Make the attack that the settings name.

    ``label`` is the target, if there is one; ``direction`` [sample] the difference that the method
    universal has found.
    """
    check_options(config)
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
    if method in USED_BY["norm"]:
        settings["norm"] = config.norm
    attack = kind(model, **settings)
    if label is not None:
        attack = attack.targeted(label)
    if config.nearest or method == "least-norm":
        return _nearest(attack)
    if isinstance(attack, Universal) and direction is not None:
        return Search(attack, lambda x, _: attack.transferred(direction, x))
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


def check_options(config: AttackFileConfig, given: Collection[str] = ()) -> None:
    """Refuse settings that the method does not use; `USED_BY` decides.

    Parameters
    ----------
    config : AttackFileConfig
        Settings.
    given : collection of str
        Settings that a user gave, see `otoscope.errors.refuse_ignored`.

    Raises
    ------
    ParameterError
        If a setting that was given would change nothing, or the method is unknown.
    """
    method = method_of(config)
    if method == "magnitude" and "domain" in given and config.domain == "waveform":
        raise ParameterError("domain is 'waveform' beside method 'magnitude': choose one")
    refuse_ignored([config], _ignored(config, method), given)


def _ignored(config: AttackFileConfig, method: str) -> Iterator[Ignored]:
    for name, methods in USED_BY.items():
        if method not in methods:
            few = methods if len(methods) <= _MOST_ADVISED else ()
            arguments = tuple(Argument("method", name) for name in few)
            yield Ignored(name, f"which method {method} does not use", arguments)
        elif config.nearest and methods is _BOUNDED:
            yield Ignored(name, "which nearest does not use")
    if not config.transforms:
        yield Ignored("draws", "and there are no transforms to draw", (Argument("transforms"),))


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


def _nearest(attack: Attack) -> Search:
    """Bisect the ratio; the adversary is where the prediction of 16-bit samples changes."""
    bare = replace(cast(Solver, attack), confidence=None)
    least = LeastNorm(bare, in_16_bits=True)
    judged = replace(bare, snr_db=least.lowest_db)
    return Search(judged, lambda x, progress: least.run(x, progress=progress))
