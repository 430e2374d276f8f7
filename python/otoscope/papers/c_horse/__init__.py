"""Experiments of paper C: the "Horse" inside (Sturm 2016)."""

from otoscope.papers.c_horse.ballroom_features import HorseBallroomFeatures, horse_ballroom_features
from otoscope.papers.c_horse.infrasound import HorseInfrasound, horse_infrasound
from otoscope.papers.c_horse.planted import HorsePlanted, horse_planted
from otoscope.papers.c_horse.regulated_bootstrap import PlantedArtists, regulated_bootstrap
from otoscope.papers.c_horse.zoo import HorseZoo, horse_zoo, zoo_table

__all__ = [
    "HorseBallroomFeatures",
    "HorseInfrasound",
    "HorsePlanted",
    "HorseZoo",
    "PlantedArtists",
    "horse_ballroom_features",
    "horse_infrasound",
    "horse_planted",
    "horse_zoo",
    "regulated_bootstrap",
    "zoo_table",
]
