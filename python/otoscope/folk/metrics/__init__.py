"""Tunes against the conventions of folk music: one by one, and over a book.

A **measure** is what lies between bar lines and lasts; lengths are exact fractions. Bars **add up**
if, repeats played out, every measure is as long as the meter says, except the first (a pickup), the
last, and two pieces that together make up a bar which a part's boundary or a bar line divides. A
tune is **valid** if it can be read and its bars add up. **Repeats** match by the grammar of
``|: :| |1 |2``. **Parts** are the segments at repeat marks; the rule asks for AABB, two repeated
parts of eight bars. The **range** is at most 28 semitones. The last note heard is the **tonic**, in
any octave. The **cadence** reaches it from degree 2, 3, 5 or 7, flat or not. At most a tenth of the
notes as written are **accidentals**: outside the key in force.

Real tunes break these rules, too: rates of generated tunes mean something beside those of real
ones only.
"""

from __future__ import annotations

from otoscope.folk.metrics.bars import MEASURE_KINDS, JudgedMeasure, MeasureKind, judge_measures
from otoscope.folk.metrics.check import Conventions, TuneCheck, TuneFacts, check_tune
from otoscope.folk.metrics.findings import RULES, Finding
from otoscope.folk.metrics.form import PartShape, form, is_aabb, part_shapes
from otoscope.folk.metrics.melody import DEGREES, accidentals, degrees, ending
from otoscope.folk.metrics.population import Distance, compare_tunes
from otoscope.folk.metrics.repeats import check_repeats
from otoscope.folk.metrics.summary import Rate, Summary, difference, summarise

__all__ = [
    "DEGREES",
    "MEASURE_KINDS",
    "RULES",
    "Conventions",
    "Distance",
    "Finding",
    "JudgedMeasure",
    "MeasureKind",
    "PartShape",
    "Rate",
    "Summary",
    "TuneCheck",
    "TuneFacts",
    "accidentals",
    "check_repeats",
    "check_tune",
    "compare_tunes",
    "degrees",
    "difference",
    "ending",
    "form",
    "is_aabb",
    "judge_measures",
    "part_shapes",
    "summarise",
]
