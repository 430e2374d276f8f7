"""Sources run on Linux, macOS and Windows: encodings are named, POSIX is imported where used."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT

SOURCES = sorted((ROOT / "python" / "otoscope").rglob("*.py"))
POSIX = {"fcntl", "resource", "pwd", "grp", "termios"}
RECORDS = ROOT / "python" / "otoscope" / "records"  # the only place that flushes and renames


def faults(path: Path) -> Iterator[str]:
    """List what does not run, or gives other bytes, on another system."""
    tree = ast.parse(path.read_text("utf-8"))
    for statement in tree.body:
        names = [alias.name for alias in getattr(statement, "names", ())]
        if isinstance(statement, ast.Import) and POSIX & set(names):
            yield f"line {statement.lineno}: {names} is imported on every system"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield from faults_of_call(node, node.func.attr, path)


def faults_of_call(call: ast.Call, name: str, path: Path) -> Iterator[str]:
    """List the faults of a call of a method."""
    texts = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    keywords = {keyword.arg for keyword in call.keywords}
    has_encoding = "encoding" in keywords or "utf-8" in texts or "utf-8-sig" in texts
    is_path = name in ("read_text", "write_text") and len(call.args) <= 1
    is_open = name == "open" and not any("b" in str(text) for text in texts[:1])
    if (is_path or (is_open and isinstance(call.func, ast.Attribute))) and not has_encoding:
        receiver = ast.unparse(call.func)
        if receiver not in ("records.write_text", "archive.open", "ours.read_text"):
            yield f"line {call.lineno}: {receiver} names no encoding"
    if name in ("fsync", "replace", "rename") and RECORDS not in path.parents:
        assert isinstance(call.func, ast.Attribute)
        if ast.unparse(call.func.value) in ("os", "draft"):
            yield f"line {call.lineno}: files are flushed and renamed in otoscope.records only"


def test_modules_run_on_every_system() -> None:
    assert not [(path, fault) for path in SOURCES for fault in faults(path)]


def test_faults_are_seen(tmp_path: Path) -> None:
    lines = ("import fcntl", "path.read_text()", "path.open()", "os.fsync(1)", "draft.replace(p)")
    for line in lines:
        (tmp_path / "a.py").write_text(line, "utf-8")
        assert len(list(faults(tmp_path / "a.py"))) == 1, line
