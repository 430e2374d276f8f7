"""What joins several rooms: frozen settings in, records and pages out."""

from otoscope.experiments.adversary_zoo import AdversaryZoo, adversary_zoo
from otoscope.experiments.attack_file import attack_file
from otoscope.experiments.attacked import Attacked, AttackFile, save_attack
from otoscope.experiments.distance import measure_distance
from otoscope.experiments.explain_files import ExplainFiles, Row, explain_files
from otoscope.experiments.explain_rows import (
    explain_rows,
    save_page,
    to_record,
    write_csv,
    write_index,
)
from otoscope.experiments.folder_statistics import measure_statistics
from otoscope.experiments.horse_ballroom_features import (
    HorseBallroomFeatures,
    horse_ballroom_features,
)
from otoscope.experiments.horse_infrasound import HorseInfrasound, horse_infrasound
from otoscope.experiments.horse_planted import HorsePlanted, horse_planted
from otoscope.experiments.horse_zoo import HorseZoo, horse_zoo, zoo_table
from otoscope.experiments.interrogate_files import (
    InterrogatedFiles,
    InterrogateFiles,
    interrogate_files,
    save_interrogated,
)
from otoscope.experiments.maximise_unit import (
    MaximisedUnit,
    MaximiseUnit,
    maximise_unit,
    save_folder,
    save_maximised,
)
from otoscope.experiments.regulated_bootstrap import PlantedArtists, regulated_bootstrap

__all__ = [
    "AdversaryZoo",
    "AttackFile",
    "Attacked",
    "ExplainFiles",
    "HorseBallroomFeatures",
    "HorseInfrasound",
    "HorsePlanted",
    "HorseZoo",
    "InterrogateFiles",
    "InterrogatedFiles",
    "MaximiseUnit",
    "MaximisedUnit",
    "PlantedArtists",
    "Row",
    "adversary_zoo",
    "attack_file",
    "explain_files",
    "explain_rows",
    "horse_ballroom_features",
    "horse_infrasound",
    "horse_planted",
    "horse_zoo",
    "interrogate_files",
    "maximise_unit",
    "measure_distance",
    "measure_statistics",
    "regulated_bootstrap",
    "save_attack",
    "save_folder",
    "save_interrogated",
    "save_maximised",
    "save_page",
    "to_record",
    "write_csv",
    "write_index",
    "zoo_table",
]
