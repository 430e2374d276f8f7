"""The schema of the parts is fixed, and the page tells it."""

from __future__ import annotations

import io

import pytest

pytest.importorskip("pyarrow")

from otoscope.workflows.batch.schema import COMMON, OF_WORKFLOW, Column, encoded
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "howto" / "cluster.md").read_text("utf-8")


def told(column: Column) -> str:
    return f"| `{column.name}` | {column.type} | {column.meaning} |"


@pytest.mark.parametrize("workflow", OF_WORKFLOW)
def test_the_page_tells_every_column_and_its_type(workflow: str) -> None:
    columns = (*COMMON, *OF_WORKFLOW[workflow])
    assert not [column for column in columns if told(column) not in PAGE]
    assert len({column.name for column in columns}) == len(columns)


@pytest.mark.parametrize("workflow", OF_WORKFLOW)
def test_a_part_has_these_columns_whatever_its_rows_lack(workflow: str) -> None:
    content = encoded(workflow, [{"file": "caf\udce9.wav", "error": "is silent", "more": 1}])
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(io.BytesIO(content))
    columns = (*COMMON, *OF_WORKFLOW[workflow])
    assert table.column_names == [column.name for column in columns]
    for column in columns:
        kind = str(table.schema.field(column.name).type)
        plain = kind.replace("element: ", "").replace("item: ", "").replace(", tz=UTC", "")
        assert plain == column.type
    (row,) = table.to_pylist()
    assert (row["file"], row["error"], row["seconds"]) == ("caf\\udce9.wav", "is silent", None)
