from .aspects import AspectFigure, PopulationDistance
from .check import Conventions, TuneCheck, check_tune
from .embedding import EmbeddingDistance, compare_embeddings
from .features import (
    DEGREES,
    PartShape,
    TuneFeatures,
    accidentals,
    degrees,
    ending,
    form,
    is_aabb,
    part_shapes,
    tune_features,
)
from .judge import JUDGES, Judge, Judgement, Screen
from .measures import (
    MEASURE_KINDS,
    ClassifiedMeasure,
    MeasureKind,
    classify_measures,
)
from .originality import Nearness, Originality, measure_originality
from .overlap import DensityFigure, compare_pairs, density_overlap, pair_features
from .population import compare_tunes, tune_figures
from .rules import RULES, Violation, check_repeats
from .sections import has_form
from .summary import RATES, Rate, Summary, difference, summarise

__all__ = [
    "pair_features",
    "measure_originality",
    "density_overlap",
    "compare_pairs",
    "compare_embeddings",
    "Originality",
    "Nearness",
    "EmbeddingDistance",
    "DensityFigure",
    "DEGREES",
    "JUDGES",
    "MEASURE_KINDS",
    "RATES",
    "RULES",
    "AspectFigure",
    "ClassifiedMeasure",
    "Conventions",
    "Judge",
    "Judgement",
    "MeasureKind",
    "PartShape",
    "PopulationDistance",
    "Rate",
    "Screen",
    "Summary",
    "TuneCheck",
    "TuneFeatures",
    "Violation",
    "accidentals",
    "check_repeats",
    "check_tune",
    "classify_measures",
    "compare_tunes",
    "degrees",
    "difference",
    "ending",
    "form",
    "has_form",
    "is_aabb",
    "part_shapes",
    "summarise",
    "tune_features",
    "tune_figures",
]
