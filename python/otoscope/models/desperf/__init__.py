"""DeSPerF, the system that paper C takes apart, and its bundles."""

from otoscope.models.desperf.bundle import DESPERF_FORMAT, load_desperf, load_rhythm, save_desperf
from otoscope.models.desperf.system import DeSPerF

__all__ = ["DESPERF_FORMAT", "DeSPerF", "load_desperf", "load_rhythm", "save_desperf"]
