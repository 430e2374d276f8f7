"""What joins several rooms: frozen settings in, records and pages out."""

from otoscope.experiments.explain_files import ExplainFiles, Row, explain_files, parse_segments

__all__ = ["ExplainFiles", "Row", "explain_files", "parse_segments"]
