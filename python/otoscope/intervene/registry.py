"""Registry of interventions: one decorator, read by the command line, the docs and the tests.

``@register(...)`` above an intervention on sound gives it an option of ``otoscope interrogate``, a
row in the table of docs/howto/interrogate.md and the tests that every intervention must pass; if it
is harmless at its usual dose, it also joins the experiment ``horse-zoo``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeVar

from otoscope.errors import ParameterError
from otoscope.intervene.sound import Chain, SoundIntervention
from otoscope.intervene.transforms.controls import CONTROLS

__all__ = [
    "THEMES",
    "Modifier",
    "Registered",
    "Theme",
    "all_settings",
    "from_settings",
    "register",
    "registered",
]

Theme = Literal["time", "spectrum", "quality", "playback"]
THEMES: dict[Theme, str] = {
    "time": "Tempo and pitch",
    "spectrum": "Spectrum and level",
    "quality": "Recording and storage",
    "playback": "Playback and excerpt",
}
"""Themes and their headings, in the order in which interventions are listed and applied."""

_REGISTERED: dict[str, Registered] = {}
_Kind = TypeVar("_Kind", bound=type[SoundIntervention])


@dataclass(frozen=True)
class Modifier:
    """A command-line option that sets a field of several interventions.

    With a ``value`` the option is a flag that sets the field to it; without, it takes a text and
    may be repeated: each text gives an intervention of its own.
    """

    option: str
    help: str
    field: str
    value: str | None = None


@dataclass(frozen=True)
class Registered:
    """An intervention on sound as the command line, the docs and the tests know it.

    ``usual`` is a typical dose; ``variants`` are further settings that the tests try;
    ``is_harmless`` says that a right answer on who sings or on a genre survives the usual dose.
    """

    kind: type[SoundIntervention]
    option: str
    help: str
    theme: Theme
    usual: float
    is_harmless: bool = True
    variants: tuple[Mapping[str, Any], ...] = ()
    modifiers: tuple[Modifier, ...] = ()
    metavar: str | None = None

    @property
    def value_type(self) -> Literal["flag", "int", "float", "text"]:
        """Type of the option: text for classes with a ``parse``, a flag for a single dose."""
        if hasattr(self.kind, "parse"):
            return "text"
        if self.example.bounds == (self.usual, self.usual):
            return "flag"
        dose = next(field for field in fields(self.kind) if not field.kw_only)
        return "int" if dose.type == "int" else "float"

    @property
    def example(self) -> SoundIntervention:
        """The intervention at its usual dose."""
        return self.kind(self.usual)  # type: ignore[call-arg, arg-type]

    @property
    def examples(self) -> list[SoundIntervention]:
        """The intervention at its usual dose, and its variants."""
        return [self.example, *(replace(self.example, **dict(one)) for one in self.variants)]

    def from_option(
        self, value: Any, modifiers: Mapping[str, Any] | None = None
    ) -> list[SoundIntervention]:
        """Make the interventions that a value of the option means; a list of texts gives several.

        ``modifiers`` maps fields to the values of their options: a flag, or a list of texts.
        """
        if value is None or value is False:
            return []
        if self.value_type == "text":
            parse: Callable[[str], SoundIntervention] = self.kind.parse  # type: ignore[attr-defined]
            made = [parse(text) for text in value]
        else:
            made = [self.example if value is True else self.example.with_dose(value)]
        for modifier in self.modifiers:
            chosen = (modifiers or {}).get(modifier.field)
            values: Sequence[str] = [modifier.value] if chosen is True else chosen or []  # type: ignore[list-item]
            if values:
                made = [
                    replace(i, **{modifier.field: one})  # type: ignore[arg-type]
                    for one in values
                    for i in made
                ]
        return made


def register(
    option: str,
    help: str,
    *,
    theme: Theme,
    usual: float,
    is_harmless: bool = True,
    **more: Any,
) -> Callable[[_Kind], _Kind]:
    """Register an intervention on sound; arguments as of `Registered`."""

    def registering(kind: _Kind) -> _Kind:
        if option in _REGISTERED:
            raise ValueError(f"{option} is registered for {_REGISTERED[option].kind.__name__}")
        entry = Registered(
            kind, option, help, theme=theme, usual=usual, is_harmless=is_harmless, **more
        )
        _REGISTERED[option] = entry
        return kind

    return registering


def registered() -> tuple[Registered, ...]:
    """Return all registered interventions, by theme and then in the order of their files."""
    order = list(THEMES)
    return tuple(sorted(_REGISTERED.values(), key=lambda entry: order.index(entry.theme)))


def all_settings(intervention: SoundIntervention) -> dict[str, Any]:
    """Return the settings that `from_settings` makes an intervention of, its claim included."""
    claim = {"label_preserving": intervention.label_preserving}
    if isinstance(intervention, Chain):
        return {
            "intervention": "Chain",
            **claim,
            "links": list(map(all_settings, intervention.links)),
        }
    return {**intervention.settings, **claim}


def from_settings(settings: Mapping[str, Any]) -> SoundIntervention:
    """Make an intervention of this package again; a file names no other class."""
    values = dict(settings)
    name = values.pop("intervention", None)
    if name == "Chain":
        links = tuple(map(from_settings, values.pop("links")))
        return Chain(links, **values)
    kinds: dict[str, Any] = {entry.kind.__name__: entry.kind for entry in registered()}
    kinds |= {control.__name__: control for control in CONTROLS.values()}
    if name not in kinds:
        raise ParameterError(f"intervention is {name!r}, must be one of {', '.join(sorted(kinds))}")
    known = {f.name for f in fields(kinds[name])}
    if unknown := sorted(set(values) - known):
        raise ParameterError(f"{name} has no setting {unknown[0]!r}")
    made: SoundIntervention = kinds[name](**values)
    return made
