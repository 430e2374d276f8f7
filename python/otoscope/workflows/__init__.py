"""Workflows: one module per command, with its configuration, its function and its result."""

from otoscope.workflows.attack import (
    AttackFileConfig,
    AttackFileResult,
    attack_file,
    save_attack_page,
)
from otoscope.workflows.distance import DistanceResult, measure_distance
from otoscope.workflows.explain import ExplainConfig, ExplainResult, explain_files
from otoscope.workflows.explain_compare import (
    CompareResult,
    compare_explanations,
    save_compare_page,
)
from otoscope.workflows.explain_records import (
    explain_to_records,
    save_explain_page,
    to_record,
    write_index,
    write_summary,
)
from otoscope.workflows.explain_rows import read_rows, write_csv
from otoscope.workflows.features import FeatureConfig
from otoscope.workflows.interrogate import (
    InterrogateResult,
    interrogate_files,
    save_interrogate_page,
)
from otoscope.workflows.interrogate_config import InterrogateConfig
from otoscope.workflows.interrogate_exchange import (
    ExportResult,
    export_interrogation,
    import_interrogation,
)
from otoscope.workflows.maximise import (
    MaximiseConfig,
    MaximiseResult,
    maximise_unit,
    save_maximise_folder,
    save_maximise_page,
)
from otoscope.workflows.stats import StatsResult, measure_statistics

__all__ = [
    "AttackFileConfig",
    "AttackFileResult",
    "CompareResult",
    "DistanceResult",
    "ExplainConfig",
    "ExplainResult",
    "ExportResult",
    "FeatureConfig",
    "InterrogateConfig",
    "InterrogateResult",
    "MaximiseConfig",
    "MaximiseResult",
    "StatsResult",
    "attack_file",
    "compare_explanations",
    "explain_files",
    "explain_to_records",
    "export_interrogation",
    "import_interrogation",
    "interrogate_files",
    "maximise_unit",
    "measure_distance",
    "measure_statistics",
    "read_rows",
    "save_attack_page",
    "save_compare_page",
    "save_explain_page",
    "save_interrogate_page",
    "save_maximise_folder",
    "save_maximise_page",
    "to_record",
    "write_csv",
    "write_index",
    "write_summary",
]
