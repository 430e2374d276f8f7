"""One-line mistakes, planted one at a time in a copy of the package, and who notices them.

A table, ``mistakes/*.txt``, names the tests of a file of the package and then its mistakes:

    @ signal/stretch.py tests/signal/test_stretch.py::test_name
    - the text of the file, which stands there once
    + the mistake
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

TABLES = Path(__file__).parent / "mistakes"
PACKAGE = ROOT / "python" / "otoscope"
_SLOW_TO_IMPORT = (
    *("torch", "torch.fx", "torchmetrics", "torch.nn.utils.rnn", "safetensors.torch"),
    *("scipy.signal", "scipy.stats", "scipy.sparse.linalg", "scipy.ndimage", "scipy.interpolate"),
    *("sklearn.linear_model", "sklearn.utils.validation", "librosa", "soundfile", "soxr"),
    *(
        "matplotlib.image",
        "matplotlib.ticker",
        "jinja2",
        "rich.table",
        "typer.testing",
        "captum.attr",
    ),
)
_SECONDS = 300  # of the processor: a run without end is noticed, too


@dataclass(frozen=True)
class Mistake:
    """A text of a file below python/otoscope, what is planted instead, and tests named for it."""

    path: str
    right: str
    wrong: str
    tests: tuple[str, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """Identify the mistake in a table of results."""
        return self.path, self.right, self.wrong

    @contextmanager
    def planted(self, package: Path) -> Iterator[None]:
        """Write the mistake into a package, where the right text stands once, for a while."""
        path = package / self.path
        text, before = path.read_text("utf-8"), path.stat()
        if text.count(self.right) != 1:
            raise ValueError(f"{self.path} holds {text.count(self.right)} times: {self.right}")
        path.write_text(text.replace(self.right, self.wrong), "utf-8")
        try:
            yield
        finally:
            path.write_text(text, "utf-8")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # its compiled form knows


def mistakes() -> list[Mistake]:
    """Read the tables of mistakes."""
    return [mistake for path in sorted(TABLES.glob("*.txt")) for mistake in _read(path)]


def _read(path: Path) -> Iterator[Mistake]:
    where, tests, right = "", tuple[str, ...](), ""
    for line in path.read_text("utf-8").splitlines():
        kind, text = line[:1], line[2:]
        if kind == "@":
            where, *names = text.split()
            tests = tuple(names)
        elif kind == "-":
            right = text
        elif kind == "+":
            yield Mistake(where, right, text, tests)
        elif line:
            raise ValueError(f"{path.name}: a line begins with @, - or +, not {line!r}")


def as_cell(text: str) -> str:
    """Write code as a cell of a table of Markdown."""
    return f"`` {text} ``".replace("|", "\\|")


def copied(folder: Path) -> Path:
    """Copy the package into a folder, with its compiled files: return it."""
    package = Path(shutil.copytree(PACKAGE, folder / "otoscope"))
    for (
        place
    ) in sys.path:  # an editable install compiles beside the sources, or into an environment
        for module in (Path(place) / "otoscope").glob("_*.so"):
            if not (package / module.name).exists():
                shutil.copy(module, package)
    return package


def preload() -> None:
    """Import what is slow to import and not under test, once for all runs."""
    for name in _SLOW_TO_IMPORT:
        with suppress(ImportError):
            importlib.import_module(name)
    sys.meta_path[:] = [f for f in sys.meta_path if "ScikitBuild" not in type(f).__name__]


def noticed_by(mistake: Mistake, package: Path) -> str:
    """Plant a mistake in a copy, run the tests named for it, and name the one that fails."""
    with mistake.planted(package):
        return failing_test(list(mistake.tests), package)


def failing_test(arguments: list[str], package: Path) -> str:
    """Run tests against a copy of the package until one fails: its name, or nothing.

    The process forks, so it must have imported nothing of the package.
    """
    output = package.parent / f"{package.parent.name}.txt"
    child = os.fork()
    if child == 0:
        _run_pytest(arguments, package.parent, output)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code in (-signal.SIGXCPU, -signal.SIGALRM):
        return "no end"
    text = output.read_text("utf-8", "replace")
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", text, re.MULTILINE)
    if code not in (0, 1) or (code == 1) != bool(failed):
        raise ValueError(f"{' '.join(arguments)} ended with {code}: {text[-2000:]}")
    return failed[0] if failed else ""


def _run_pytest(arguments: list[str], site: Path, output: Path) -> None:
    """Run pytest with the package of a folder, and end this process."""
    import resource  # of POSIX alone, as fork

    code = -1
    try:
        with output.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS + 1))
        signal.alarm(10 * _SECONDS)
        sys.dont_write_bytecode = True
        sys.path.insert(0, str(site))
        os.environ |= {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
        import pytest

        if Path(str(importlib.import_module("otoscope").__file__)).parent != site / "otoscope":
            raise SystemExit("the tests would run against another otoscope")
        options = ["-q", "-x", "-p", "no:cacheprovider", "-rfE", "--tb=no", "-m", "not slow"]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what was preloaded
        code = int(pytest.main([*options, *arguments]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
