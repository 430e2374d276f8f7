"""Scripts of the project, run or imported in this process, which has imported torch already."""

from __future__ import annotations

import importlib.util
import io
import os
import runpy
import sys
import warnings
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess
from types import ModuleType
from unittest import mock

from tests.support.paths import ROOT


def run_script(
    script: str | Path, *arguments: str, env: Mapping[str, str] | None = None
) -> CompletedProcess[str]:
    """Run a script below the root as ``__main__``; give its exit code and what it printed."""
    path = ROOT / script
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.object(sys, "argv", [str(path), *arguments]),
        mock.patch.object(sys, "path", [str(path.parent), *sys.path]),
        mock.patch.dict(os.environ, env or {}),
        warnings.catch_warnings(),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        warnings.simplefilter("default")
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
            if isinstance(exit_.code, str):
                err.write(exit_.code)
    return CompletedProcess([str(path), *arguments], code, out.getvalue(), err.getvalue())


def load_script(script: str | Path) -> ModuleType:
    """Import a script below the root, which no package holds, as a module of its name."""
    path = ROOT / script
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module
