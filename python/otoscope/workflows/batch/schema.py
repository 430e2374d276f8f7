"""Columns of the parts of a batch: a fixed schema for each workflow, documented in one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from otoscope.errors import require_extra
from otoscope.workflows.batch.manifest import key_of

__all__ = ["COMMON", "OF_WORKFLOW", "VERSION", "Column", "encoded"]

VERSION = 1
"""Version of the schema, in _settings.json."""


class Column(NamedTuple):
    """A column: name, type of Arrow, and meaning."""

    name: str
    type: str
    meaning: str


COMMON = (
    Column("file", "string", "file, as the manifest writes it: the key"),
    Column("start", "double", "start of the excerpt, in seconds; null where the whole file failed"),
    Column("duration", "double", "duration of the excerpt, in seconds"),
    Column("error", "string", "reason why there is no result; empty otherwise"),
    Column("warnings", "list<string>", "warnings and cautions"),
    Column("seconds", "double", "time that the whole file took, in seconds"),
    Column("sound", "string", "SHA-256 of the file"),
    Column("model", "string", "digests of the model's weights and code"),
    Column("settings", "string", "all settings of the workflow, as JSON"),
    Column("versions", "string", "versions of otoscope, torch, numpy and Python, as JSON"),
    Column("others", "string", "the manifest's other columns, as JSON; empty if it has none"),
    Column("written", "timestamp[us]", "time at which the part was made, UTC"),
)
"""Columns of every workflow."""

OF_WORKFLOW: Mapping[str, tuple[Column, ...]] = {
    "explain": (
        Column("target", "string", "output that is explained"),
        Column("output_all", "double", "output of the whole excerpt"),
        Column("output_none", "double", "output with all segments occluded"),
        Column("r2", "double", "R2 of the surrogate"),
        Column("coefficients", "list<double>", "contribution of each segment"),
        Column("shapley", "list<double>", "Shapley value of each segment; null if not computed"),
        Column("segments", "list<string>", "names of the segments"),
        Column("named", "list<string>", "segments that the output rests on"),
        Column("because", "string", "their places, as a phrase, or why none is named"),
        Column("is_saturated", "bool", "whether the output hardly depends on any segment"),
        Column("n_coalitions", "int64", "number of coalitions evaluated"),
    ),
    "attack": (
        Column("out", "string", "adversary: a file below OUT"),
        Column("is_fooled", "bool", "whether the piece has the aimed prediction, and had not"),
        Column("left", "string", "why the piece is unchanged: silent, or heard already"),
        Column("label_before", "string", "label of the original"),
        Column("label_after", "string", "label of the adversary"),
        Column("confidence_before", "double", "confidence in the aim before"),
        Column("confidence_after", "double", "confidence in the aim after"),
        Column("snr_db", "double", "signal-to-noise ratio of the file, dB"),
        Column("segmental_snr_db", "double", "ratio of the worst 25 ms, dB"),
        Column("iterations", "int64", "number of steps"),
    ),
    "interrogate": (
        Column("intervention", "string", "change with its dose"),
        Column(
            "change",
            "string",
            "name of the change or of its placebo; empty for the unchanged sound",
        ),
        Column("dose", "double", "dose; 0 for the unchanged sound"),
        Column("is_placebo", "bool", "whether it is the placebo of the dose"),
        Column("answer", "string", "label that the model gives"),
        Column("answer_unchanged", "string", "label of the unchanged sound"),
        Column("is_same", "bool", "whether the two are the same"),
    ),
    "stats": (
        Column("n_excerpts", "int64", "number of excerpts measured"),
        Column("columns", "int64", "number of columns of the features"),
        Column("rate", "int64", "sampling rate of the file, in hertz"),
    ),
}
"""Further columns of each workflow."""


def encoded(workflow: str, rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return rows as a Parquet file of the workflow's schema; cells that they lack are null."""
    pa, parquet = require_extra("pyarrow", "scale"), require_extra("pyarrow.parquet", "scale")
    types = {
        **{name: pa.type_for_alias(name) for name in ("string", "double", "bool", "int64")},
        "list<string>": pa.list_(pa.string()),
        "list<double>": pa.list_(pa.float64()),
        "timestamp[us]": pa.timestamp("us", tz="UTC"),
    }
    columns = (*COMMON, *OF_WORKFLOW[workflow])
    schema = pa.schema([(column.name, types[column.type]) for column in columns])
    plain = [{name: _utf_8(value) for name, value in row.items()} for row in rows]
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(plain, schema=schema), sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _utf_8(value: Any) -> Any:
    """Escape bytes of file names that are no UTF-8."""
    if isinstance(value, str):
        return key_of(value)
    return [_utf_8(item) for item in value] if isinstance(value, list) else value
