from .attack import Attacker, attack_file, save_attack_page
from .attack_curve import write_attack_curve
from .attack_folder import (
    adversaries,
    adversary_row,
    attack_to_records,
    write_attack_index,
)
from .attack_result import AttackFileConfig, AttackFileResult
from .bench import BenchConfig, BenchResult, run_bench
from .contents import ContentsConfig, ContentsResult, choose_contents
from .distance import measure_distance
from .distance_result import (
    DistanceConfig,
    DistanceResult,
    FileDistance,
    save_distance_page,
)
from .singing.evaluate import (
    EvaluateConfig,
    EvaluateResult,
    SongScores,
    evaluate_detector,
)
from .explain.config import ExplainConfig
from .explain.excerpts import ExplainResult
from .explain.explain import Explainer, explain_files
from .explain.compare import (
    CompareResult,
    Comparison,
    compare_explanations,
    save_compare_page,
)
from .explain.comparisons import compare_to_records
from .explain.records import (
    compared_agreement,
    explain_to_records,
    save_explain_page,
    to_record,
    write_index,
    write_summary,
)
from .explain.rows import read_rows, write_csv
from .explain.song import write_song
from .features import FeatureConfig
from .interrogate.interrogate import (
    InterrogateResult,
    interrogate_files,
    save_interrogate_page,
)
from .interrogate.config import InterrogateConfig
from .interrogate.size import SizeResult, plan_size
from .interrogate.exchange import (
    ExportResult,
    export_interrogation,
    import_interrogation,
)
from .interrogate.parts import interrogate_parts
from .maximise.maximise import (
    MaximiseConfig,
    MaximiseResult,
    maximise_unit,
    save_maximise_folder,
    save_maximise_page,
)
from .stats import StatsResult, measure_statistics

__all__ = [
    "AttackFileConfig",
    "AttackFileResult",
    "Attacker",
    "BenchConfig",
    "BenchResult",
    "CompareResult",
    "Comparison",
    "ContentsConfig",
    "ContentsResult",
    "DistanceConfig",
    "DistanceResult",
    "EvaluateConfig",
    "EvaluateResult",
    "ExplainConfig",
    "ExplainResult",
    "Explainer",
    "ExportResult",
    "FeatureConfig",
    "FileDistance",
    "InterrogateConfig",
    "InterrogateResult",
    "MaximiseConfig",
    "MaximiseResult",
    "SizeResult",
    "SongScores",
    "StatsResult",
    "adversaries",
    "adversary_row",
    "attack_file",
    "attack_to_records",
    "choose_contents",
    "compare_explanations",
    "compare_to_records",
    "compared_agreement",
    "evaluate_detector",
    "explain_files",
    "explain_to_records",
    "export_interrogation",
    "import_interrogation",
    "interrogate_files",
    "interrogate_parts",
    "maximise_unit",
    "measure_distance",
    "measure_statistics",
    "plan_size",
    "read_rows",
    "run_bench",
    "save_attack_page",
    "save_compare_page",
    "save_distance_page",
    "save_explain_page",
    "save_interrogate_page",
    "save_maximise_folder",
    "save_maximise_page",
    "to_record",
    "write_attack_curve",
    "write_attack_index",
    "write_csv",
    "write_index",
    "write_song",
    "write_summary",
]
