"""What each command does: settings in, records and pages out."""

from otoscope.workflows.attack import (
    AttackFileConfig,
    AttackFileResult,
    attack_file,
    save_attack_page,
)
from otoscope.workflows.distance import measure_distance
from otoscope.workflows.explain import ExplainFiles, Row, explain_files
from otoscope.workflows.explain_rows import (
    explain_rows,
    save_page,
    to_record,
    write_csv,
    write_index,
)
from otoscope.workflows.interrogate import (
    InterrogateConfig,
    InterrogateResult,
    interrogate_files,
    save_interrogate_page,
)
from otoscope.workflows.maximise import (
    MaximisedUnit,
    MaximiseUnit,
    maximise_unit,
    save_folder,
    save_maximised,
)
from otoscope.workflows.stats import measure_statistics

__all__ = [
    "AttackFileConfig",
    "AttackFileResult",
    "ExplainFiles",
    "InterrogateConfig",
    "InterrogateResult",
    "MaximiseUnit",
    "MaximisedUnit",
    "Row",
    "attack_file",
    "explain_files",
    "explain_rows",
    "interrogate_files",
    "maximise_unit",
    "measure_distance",
    "measure_statistics",
    "save_attack_page",
    "save_folder",
    "save_interrogate_page",
    "save_maximised",
    "save_page",
    "to_record",
    "write_csv",
    "write_index",
]
