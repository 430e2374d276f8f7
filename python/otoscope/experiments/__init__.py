"""What joins several rooms: frozen settings in, records and pages out."""

from otoscope.experiments.explain_files import ExplainFiles, Row, explain_files
from otoscope.experiments.explain_rows import (
    explain_rows,
    save_page,
    to_record,
    write_csv,
    write_index,
)

__all__ = [
    "ExplainFiles",
    "Row",
    "explain_files",
    "explain_rows",
    "save_page",
    "to_record",
    "write_csv",
    "write_index",
]
