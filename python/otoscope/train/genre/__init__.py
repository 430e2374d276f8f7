"""Training of paper E's genre classifiers on folders of labelled sounds."""

from otoscope.train.genre.adversaries import one_step, pgd
from otoscope.train.genre.forest import GenreForest, fit_forest
from otoscope.train.genre.learner import TrainGenreConfig
from otoscope.train.genre.spectra import Spectra, read_spectra, standardisation
from otoscope.train.genre.training import TrainGenreResult, train_genre, train_on_spectra

__all__ = [
    "GenreForest",
    "Spectra",
    "TrainGenreConfig",
    "TrainGenreResult",
    "fit_forest",
    "one_step",
    "pgd",
    "read_spectra",
    "standardisation",
    "train_genre",
    "train_on_spectra",
]
