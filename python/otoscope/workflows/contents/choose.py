"""Choose the content of explanations for a model: on songs without labels, or on stems."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otoscope.errors import Argument, Ignored, ParameterError, refuse_ignored
from otoscope.explain import SoundLIME
from otoscope.explain.registry import entries_of
from otoscope.explain.selection import ContentChoice, choose_content
from otoscope.explain.selection.choice import FEW_SONGS
from otoscope.explain.selection.criteria import Feature
from otoscope.explain.waveform import hears_sounds
from otoscope.progress import Progress, silent
from otoscope.protocols import model_name
from otoscope.workflows.contents.excerpts import cut_excerpts
from otoscope.workflows.features import layer_feature
from otoscope.workflows.recording import load_identified_listener

__all__ = ["ContentsConfig", "ContentsResult", "choose_contents"]

_OF_STEMS = ("n_mixes", "skip")


@dataclass(frozen=True)
class ContentsConfig:
    """Model, songs and contents to choose from.

    Parameters
    ----------
    sounds : tuple of Path
        Sound files, or folders of them: no labels are needed.
    model : str
        Name of a model (see: otoscope models), a bundle, or FILE.py:FUNCTION.
    stems : Path, optional
        Folder of songs with stems instead of ``sounds``: segments of the backing are replaced by
        the voice, so that it is known what a detector of voices must name.
    contents : str
        Contents, separated by commas; three or more, or two with ``stems``.
    segments : str
        Segments: temporal:10, spectral:8, grid:6x4, ...
    target : str, optional
        Output to explain, by its name. Default: the only one.
    design : str, optional
        Coalitions to evaluate. Default: all of up to 12 segments.
    n_samples : int, optional
        Number of coalitions to draw, for designs that draw.
    n : int
        Excerpts per song, >= 1: those with the highest output, or positions drawn in stems.
    n_mixes : int
        Mixes of each excerpt of ``stems``, >= 1.
    skip : int
        Frames left out at either end of a song of ``stems``.
    layer : str, optional
        Layer in which occluded inputs are compared with real ones. Default: the last before the
        outputs, for models of the zoo.
    changes : int
        Shifts of the segments, and noises, for the stability; 0 leaves it out.
    seed : int
        Random seed.
    device : str
        Device that the model runs on: cpu or cuda.

    Examples
    --------
    >>> ContentsConfig((Path("songs"),), "svdnet-synth").n
    3
    """

    sounds: tuple[Path, ...]
    model: str
    stems: Path | None = None
    contents: str = "mean_inp,zero,min_inp,mean_band,noise"
    segments: str = "temporal:10"
    target: str | None = None
    design: str | None = None
    n_samples: int | None = None
    n: int = 3
    n_mixes: int = 4
    skip: int = 200
    layer: str | None = None
    changes: int = 1
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if bool(self.sounds) == (self.stems is not None):
            raise ParameterError("give either sounds or stems; both, or neither, were given")
        if self.n < 1:
            raise ParameterError(f"n is {self.n}, must be >= 1")
        self.refuse_ignored()

    def refuse_ignored(self, given: Collection[str] = ()) -> None:
        """Refuse settings that change nothing; those ``given`` even if they are the defaults."""
        ignored = []
        if self.stems is None:
            stems = (Argument("stems"),)
            ignored = [Ignored(name, "and no stems are mixed", stems) for name in _OF_STEMS]
        if self.design in (None, "exact"):
            draws = (Argument("design", "kernelshap"),)
            ignored.append(Ignored("n_samples", "and no design is chosen that draws", draws))
        refuse_ignored([self], ignored, given)


@dataclass(frozen=True)
class ContentsResult:
    """Hold the choice, and what it rests on.

    Parameters
    ----------
    config : ContentsConfig
        Settings.
    choice : ContentChoice
        Ranks of the contents.
    identity : dict of str to str
        Digests of the model.
    layer : str
        Layer of the distance; empty if none was measured.
    notes : tuple of str
        Remarks: skipped files, outputs that are low.
    model : str
        Name of the model.

    Examples
    --------
    >>> config = ContentsConfig((Path("songs"),), "svdnet-synth")
    >>> choose_contents(config).choice.best  # doctest: +SKIP
    'mean_inp'
    """

    config: ContentsConfig
    choice: ContentChoice
    identity: dict[str, str]
    layer: str
    notes: tuple[str, ...]
    model: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return settings, ranks and notes in JSON's types."""
        return {
            **self.choice.to_dict(),
            "model": self.identity,
            "model_name": self.model,
            "layer": self.layer,
            "notes": list(self.notes),
        }


def choose_contents(config: ContentsConfig, *, progress: Progress = silent) -> ContentsResult:
    """Rank contents for a model on songs.

    Parameters
    ----------
    config : ContentsConfig
        Model, songs and contents.
    progress : bool or callable
        True shows bars over songs, contents and excerpts.

    Returns
    -------
    ContentsResult
        Ranks with intervals over songs, and notes.

    Raises
    ------
    ParameterError
        If a setting is wrong, no sound can be used, stems differ in length or rate, the model calls
        no mix sung, or fails on an occluded excerpt.

    Examples
    --------
    >>> config = ContentsConfig((), "svdnet-synth", stems=Path("songs"))
    >>> print(choose_contents(config).choice)  # doctest: +SKIP
    """
    model, identity = load_identified_listener(config.model, device=config.device)
    if hears_sounds(model):
        refuse_ignored([config], [Ignored("layer", "and a model of sounds is not compared in one")])
    lime = SoundLIME(
        model,
        segments=config.segments,
        target=config.target,
        design=config.design,
        n_samples=config.n_samples,
        seed=config.seed,
    )
    excerpts = cut_excerpts(model, config, progress)
    feature, layer, notes = _feature(model, config)
    choice = choose_content(
        lime,
        excerpts.patches,
        contents=entries_of(config.contents),
        songs=excerpts.songs,
        truth=excerpts.truth,
        feature=feature,
        n_changes=config.changes,
        seed=config.seed,
        progress=progress,
    )
    if feature is not None and "closeness" not in {r.criterion for r in choice.rankings}:
        few = "of sounds" if hears_sounds(model) else f"on fewer than {FEW_SONGS} songs"
        notes.append(f"closeness to real inputs is not measured {few}")
    remarks = (*excerpts.notes, *notes)
    return ContentsResult(config, choice, identity, layer, remarks, model_name(model))


def _feature(model: Any, config: ContentsConfig) -> tuple[Feature | None, str, list[str]]:
    """Make the feature of the layer that is named, or of the model's default layer."""
    try:
        feature, layer = layer_feature(model, config.model, config.layer)
    except ParameterError:
        if config.layer is not None:
            raise
        return None, "", ["no layer is named, so that closeness to real inputs is not measured"]
    return feature, layer, []
