"""Parts of a batch: Parquet files, each of some files of a manifest, read as one table.

A file may be in two parts: an error and, after another try, its result; or the same result, if a
node that was given up for lost wrote its part after all. Readers take one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from otoscope.errors import ParameterError, require_extra
from otoscope.records.places import Place

if TYPE_CHECKING:
    import pyarrow

__all__ = [
    "CLAIM",
    "PREFIX",
    "SUFFIX",
    "done_files",
    "is_finished",
    "part_names",
    "read_parts",
]

PREFIX, SUFFIX = "part-", ".parquet"
CLAIM = "_driver"
"""Beginning of the names of files that say who is writing; a driver removes its own at its end."""

_AT_ONCE = 512  # parts that are open at a time
_NEEDED = ("file", "error", "written")  # by these, one of several parts is chosen


def read_parts(uri: str, *, columns: Sequence[str] | None = None) -> pyarrow.Table:
    """Read the rows of a batch, each file once.

    Parameters
    ----------
    uri : str
        Folder or URI that ``otoscope batch`` wrote to.
    columns : sequence of str, optional
        Columns to read; by default all.

    Returns
    -------
    pyarrow.Table
        Rows in the order of the parts' names. If several parts hold a file, its rows come from one:
        that with the fewest errors, then the newest.

    Raises
    ------
    ParameterError
        If there are no parts, or a column does not exist.
    MissingExtra
        If pyarrow is not installed.

    Examples
    --------
    >>> rows = read_parts("s3://lab/run1", columns=["file", "r2"])  # doctest: +SKIP
    >>> rows.to_pandas()["r2"].median()  # doctest: +SKIP
    0.93
    """
    place = Place(uri)
    names = part_names(place)
    if not names:
        raise ParameterError(f"{uri} holds no parts; name the --out of an otoscope batch")
    available = _opened(place, names[:1]).schema.names
    wanted = list(available if columns is None else columns)
    if unknown := [name for name in wanted if name not in available]:
        raise ParameterError(f"columns has {unknown[0]!r}; {uri} has {', '.join(available)}")
    table = _table(place, names, [*wanted, *_NEEDED])
    if dropped := _superseded(table):
        pairs = zip(table["file"].to_pylist(), table["part"].to_pylist(), strict=True)
        table = table.filter([pair not in dropped for pair in pairs])
    return table.select(wanted)


def part_names(place: Place) -> list[str]:
    """List the parts of a place, sorted."""
    return sorted(n for n in place.names() if n.startswith(PREFIX) and n.endswith(SUFFIX))


def is_finished(uri: str) -> bool:
    """Return whether no driver writes to a place, and none was killed there before its end."""
    return not any(name.startswith(CLAIM) for name in Place(uri).names())


def done_files(place: Place, names: Sequence[str], *, without_errors: bool = False) -> set[str]:
    """Return the files that some parts hold; ``without_errors`` those that a part has no error of.

    Only three columns of the parts are read.
    """
    if not names:
        return set()
    table = _table(place, names, ["file", "error"])
    if without_errors:
        pairs = _with_failures(table).aggregate([("failed", "max")])
        pc = require_extra("pyarrow.compute", "scale")
        table = pairs.filter(pc.equal(pairs["failed_max"], 0))
    return set(table["file"].to_pylist())


def _opened(place: Place, names: Sequence[str]) -> Any:
    """Open parts as one data set."""
    dataset = require_extra("pyarrow.dataset", "scale")
    paths = [f"{place.root}/{name}" for name in names]
    try:
        return dataset.dataset(paths, filesystem=place.filesystem, format="parquet")
    except (OSError, ValueError) as err:
        raise _unreadable(place, err) from err


def _table(place: Place, names: Sequence[str], columns: Iterable[str]) -> Any:
    """Read columns, and the name of each row's part, some parts at a time.

    An open data set keeps the schema and the statistics of each of its parts, 75 KB each.
    """
    read, tables = [*dict.fromkeys(columns)], []
    for first in range(0, len(names), _AT_ONCE):
        dataset = _opened(place, names[first : first + _AT_ONCE])
        try:
            tables.append(dataset.to_table(columns=[*read, "__filename"]))
        except (OSError, ValueError) as err:
            raise _unreadable(place, err) from err
    table = require_extra("pyarrow", "scale").concat_tables(tables)
    return table.rename_columns([*read, "part"])


def _unreadable(place: Place, err: Exception) -> ParameterError:
    return ParameterError(
        f"a part in {place.uri} cannot be read: {err}; remove that part, and the same command "
        "makes it anew"
    )


def _with_failures(table: Any) -> Any:
    """Group rows by file and part, with a column of ones for errors."""
    pc = require_extra("pyarrow.compute", "scale")
    failed = pc.not_equal(table["error"], "").cast("int64")
    return table.append_column("failed", failed).group_by(["file", "part"])


def _superseded(table: Any) -> set[tuple[str, str]]:
    """List the files of several parts, with those parts whose rows do not count."""
    pc = require_extra("pyarrow.compute", "scale")
    pairs = _with_failures(table).aggregate([("failed", "sum"), ("written", "max")])
    counts = pc.value_counts(pairs["file"])
    repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    rows = pairs.filter(pc.is_in(pairs["file"], value_set=repeated)).to_pylist()
    best: dict[str, tuple[Any, ...]] = {}
    for row in rows:
        rank = -row["failed_sum"], row["written_max"], row["part"]
        best[row["file"]] = max(best.get(row["file"], rank), rank)
    return {(r["file"], r["part"]) for r in rows if r["part"] != best[r["file"]][2]}
