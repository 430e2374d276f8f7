"""Explainers of the benchmark, by name, and those that a user adds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TypeAlias

from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.models.loading import load_function
from otoscope.papers.explainers import gradients, perturbations, rivals
from otoscope.papers.explainers.problem import Problem
from otoscope.records.files import file_digest

__all__ = ["CONTENTS", "EXPLAINERS", "MOST_SETTINGS", "OURS", "Explainer", "chosen"]

Explain: TypeAlias = Callable[[Problem, str], "Tensor | object"]

CONTENTS = ("<contents>",)
"""Settings of an explainer that are the contents of the problem."""

MOST_SETTINGS = 6
"""Most settings that an explainer may try on the tuning songs."""


@dataclass(frozen=True)
class Explainer:
    """An explainer: a function of a problem and one of its settings."""

    name: str
    explain: Explain
    settings: tuple[str, ...] = CONTENTS
    is_ours: bool = False
    needs: str = ""  # package without which it is left out
    given: str = ""  # what it is given and the others are not
    identity: str = ""  # digest of a user's file

    @property
    def is_installed(self) -> bool:
        """Whether the package that it needs is there."""
        return not self.needs or all(find_spec(name) for name in self.needs.split())

    def settings_of(self, problem: Problem) -> tuple[str, ...]:
        """List the settings for a problem."""
        return tuple(problem.contents) if self.settings == CONTENTS else self.settings


OURS = "SoundLIME"
"""The explainer that stands for ours, with the default design: all masks, or those of "kernelshap"
where all are more than the budget."""


def _ours() -> Iterable[Explainer]:
    yield Explainer(OURS, perturbations.soundlime("exact"), is_ours=True)
    for design in perturbations.DRAWN:
        yield Explainer(f"SoundLIME {design}", perturbations.soundlime(design), is_ours=True)
    yield Explainer("SoundLIME paper_a", perturbations.paper_a, is_ours=True)


def _captum() -> Iterable[Explainer]:
    for name, explain in rivals.PERTURBATIONS.items():
        yield Explainer(f"captum {name}", explain, needs="captum")
    for name, (explain, settings) in rivals.GRADIENTS.items():
        yield Explainer(f"captum {name}", explain, settings or CONTENTS, needs="captum")


EXPLAINERS: dict[str, Explainer] = {
    explainer.name: explainer
    for explainer in (
        *_ours(),
        Explainer("random forest", perturbations.random_forest),
        *_captum(),
        Explainer("RISE", perturbations.rise),
        Explainer("SmoothGrad", gradients.smooth_grad, gradients.NOISES),
        Explainer("Grad-CAM", gradients.grad_cam, gradients.LAYERS),
        Explainer("LRP (zennit)", gradients.lrp, gradients.RULES, needs="zennit torchvision"),
        Explainer("audioLIME", perturbations.stems, given="the true stems"),
        Explainer("random", perturbations.random_scores, ("",)),
    )
}
"""All explainers, by name."""


def chosen(names: str, further: str = "") -> tuple[list[Explainer], list[str]]:
    """Return the explainers that are named, all by default, and a note on each that lacks."""
    entries = [name.strip() for name in names.split(",") if name.strip()] or [*EXPLAINERS]
    if unknown := [name for name in entries if name not in EXPLAINERS]:
        raise ParameterError(
            f"explainers are {unknown[0]!r}, must be some of {', '.join(EXPLAINERS)}"
        )
    known = [EXPLAINERS[name] for name in dict.fromkeys([OURS, *entries, "random"])]
    notes = [f"{e.name} is left out: it needs {e.needs}" for e in known if not e.is_installed]
    added = [_added(place.strip()) for place in further.split(",") if place.strip()]
    return [e for e in known if e.is_installed] + added, notes


def _added(place: str) -> Explainer:
    """Make an explainer of a user's function; it takes a setting if it has ``settings``."""
    function = load_function(place)
    settings = tuple(getattr(function, "settings", ()))
    if len(settings) > MOST_SETTINGS or not all(isinstance(name, str) for name in settings):
        raise ParameterError(
            f"{place} has settings {settings}, must be at most {MOST_SETTINGS} names, as many as "
            "the others may try"
        )

    def explain(problem: Problem, setting: str) -> object:
        return function(problem, setting) if settings else function(problem)

    digest = file_digest(place.rpartition(":")[0])
    return Explainer(place.rpartition("/")[2], explain, settings or ("",), identity=digest)
