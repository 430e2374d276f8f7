"""Training of paper E's genre classifiers on folders of labelled sounds."""

from otoscope.train.genre.forest import GenreForest, fit_forest
from otoscope.train.genre.learner import TrainGenreConfig
from otoscope.train.genre.spectra import Spectra, read_spectra, standardisation
from otoscope.train.genre.training import TrainGenreResult, train_genre

__all__ = [
    "GenreForest",
    "Spectra",
    "TrainGenreConfig",
    "TrainGenreResult",
    "fit_forest",
    "read_spectra",
    "standardisation",
    "train_genre",
]
