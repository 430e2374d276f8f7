from .check import Conventions, TuneCheck, check_tune
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
from .population import AspectFigure, PopulationDistance, compare_tunes, tune_figures
from .rules import RULES, Violation, check_repeats
from .summary import RATES, Rate, Summary, difference, summarise

__all__ = [
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
    "is_aabb",
    "part_shapes",
    "summarise",
    "tune_features",
    "tune_figures",
]
