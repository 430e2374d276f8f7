"""Answers of a model to one file after another, unchanged and changed, for many files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from otoscope import records
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.intervene.interrogation.conditions import make_grid
from otoscope.intervene.interrogation.items import Sounds, as_items
from otoscope.intervene.interrogation.labeller import Labeller
from otoscope.intervene.interrogation.plan import make_plan
from otoscope.intervene.interrogation.session import AnswerLog
from otoscope.intervene.registry import all_settings
from otoscope.intervene.sound import SoundIntervention
from otoscope.progress import silent
from otoscope.seeds import item_seed
from otoscope.workflows.interrogate.config import InterrogateConfig, doses_of, merged
from otoscope.workflows.interrogate.interrogate import settings_of, system_of
from otoscope.workflows.recording import load_identified_model

__all__ = ["Answer", "Interrogator", "file_seed"]

_SEEDS = 2**32  # number of seeds of an interrogation


@dataclass(frozen=True)
class Answer:
    """Answer of a model to a sound, unchanged or changed.

    Parameters
    ----------
    intervention : str
        Change with its dose.
    change : str
        Name of the change or of its placebo; empty for the unchanged sound.
    dose : float
        Dose; 0 for the unchanged sound.
    is_placebo : bool
        Whether it is the placebo of the dose.
    answer : str
        Label that the model gives.
    duration : float
        Analysed duration, in seconds.

    Examples
    --------
    >>> Answer("gain +6 dB", "gain", 6.0, False, "Waltz", 3.0).answer
    'Waltz'
    """

    intervention: str
    change: str
    dose: float
    is_placebo: bool
    answer: str
    duration: float


def file_seed(seed: int, file: str) -> int:
    """Seed of the renderings of a file of a batch: the same in any order of files."""
    return item_seed(seed, file) % _SEEDS


class Interrogator:
    """Asks a model about one file after another; the model is loaded once.

    Parameters
    ----------
    config : InterrogateConfig
        Model, interventions, doses and seed. Data, labels, bounds and budget do not matter: a
        verdict takes all files.

    Raises
    ------
    ParameterError
        If a setting is wrong, or nothing is to be changed.

    Examples
    --------
    >>> from otoscope.data import sample
    >>> from otoscope.intervene import Gain
    >>> config = InterrogateConfig("synth-singing", Path(), (Gain(6),), doses=1)
    >>> answers = Interrogator(config).of(sample().path, "song.ogg")
    >>> [answer.intervention for answer in answers]
    ['gain 0 dB', 'gain -6 dB', 'gain +6 dB']
    """

    def __init__(self, config: InterrogateConfig) -> None:
        if not config.interventions or config.model is None:
            name = Argument("model") if config.model is None else Argument("tempo", 6)
            nothing = "no model is named" if config.model is None else "nothing is to be changed"
            raise ParameterError(nothing, advice=Advice("name it with ", name))
        self._config = config
        model, self.identity = load_identified_model(config.model, device=config.device)
        predict = system_of(model, config, None)
        self._settings = replace(settings_of(config, predict, None), workers=1)
        self._labeller = Labeller(predict, classes=self._settings.classes)
        rate, of_system = self._settings.sr, self._labeller.sample_rate
        if rate and of_system and rate != of_system:
            raise ParameterError(f"sr is {rate:g} Hz, and the system hears {of_system:g} Hz")
        interventions: Any = merged(config.interventions)
        self._doses = doses_of(interventions, config.doses, config.interventions) or {}
        self._interventions: Sequence[SoundIntervention] = interventions
        self._grid = make_grid(interventions, self._doses, kind=Sounds.kind)  # type: ignore[type-abstract]

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that the answers depend on besides the model, in JSON's types."""
        config, settings = self._config, self._settings
        changes: dict[str, Any] = records.to_plain(
            {
                "name": config.model,
                "classes": config.classes,
                "threshold": config.threshold,
                "padded": config.padded,
                "interventions": list(map(all_settings, self._interventions)),
                "doses": self._doses,
                "sr": settings.sr,
                "duration": settings.duration,
                "seed": settings.seed,
                "device": config.device,
            }
        )
        return changes

    def of(self, path: Path, key: str) -> Iterator[Answer]:
        """Ask about a file: first unchanged, then changed.

        Parameters
        ----------
        path : Path
            Sound file.
        key : str
            Name of the file, which decides the seed of its random changes.

        Yields
        ------
        Answer
            Answers in the order of the interventions and doses.

        Raises
        ------
        ParameterError
            If the file cannot be read, or is too short for the changes.
        """
        settings = self._settings
        settings = replace(settings, seed=file_seed(settings.seed, key))
        rate = settings.sr or self._labeller.sample_rate
        items = as_items((path,), sr=rate, cache=None)
        labeller = self._labeller
        about = {"system": labeller.name, "system_identity": labeller.identity, "labels": None}
        plan = make_plan(
            items, self._grid, about, settings, goals=frozenset(), budget=0, progress=silent
        )
        with AnswerLog(None, plan.depends_on, seed=settings.seed) as log:
            asked = plan.asked(items, labeller, log, None, settings, silent)
        duration = plan.duration or 0.0 if isinstance(items, Sounds) else 0.0
        for number, condition in enumerate(self._grid.conditions):
            yield Answer(
                str(condition.intervention),
                condition.intervention.name if number else "",
                condition.dose,
                condition.is_placebo,
                str(asked.answers[0][number]),
                duration,
            )
