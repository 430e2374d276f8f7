"""The network that a folk command is asked for, and what its user types as a tune's beginning."""

from __future__ import annotations

from pathlib import Path

from otoscope.errors import ParameterError
from otoscope.folk.abc import BarLine, NotationError, parse_tune
from otoscope.folk.model import FolkModel, load_folkrnn
from otoscope.folk.tokens import tokeniser
from otoscope.folk.tokens.plain import PLAIN_MODES

__all__ = ["SHIPPED", "folk_model", "model_title", "prime_tokens"]

SHIPPED = "folkrnn-small"
_HEADER_LINES = 3


def folk_model(name: str) -> FolkModel:
    """Load a network by its name, its file, or the folder of its training."""
    path = Path(name)
    try:
        return load_folkrnn(path / "model" if (path / "model.json").is_file() else name)
    except ParameterError as err:
        if name == SHIPPED and not path.with_suffix(".json").exists():
            raise ParameterError(
                f"{name} does not come with this installation; train a model "
                "(otoscope folk train DIR --out MODEL) and name that"
            ) from err
        raise


def model_title(name: str) -> str:
    """What a title calls the network."""
    return " ".join(Path(name).name.removesuffix(".json").removesuffix(".safetensors").split())


def prime_tokens(text: str, model: FolkModel, *, mode: str) -> tuple[str, ...]:
    """Read a tune's beginning: the model's tokens with spaces between, or ABC on root C.

    Characters (v1) are taken as they are. ABC needs a mode to know what is natural: major unless
    one is given. What is not ABC is refused with its column; what the model does not know, by it.
    """
    if model.tokens == "v1":
        return tuple(text)
    words = tuple(text.split())
    if fields := [word for word in words if word.startswith(("M:", "K:"))]:
        raise ParameterError(f"prime holds {fields[0]}; give it as the meter or the mode")
    if all(word in model.vocabulary for word in words):
        return words
    # The meter decides nothing about a token, the mode which pitches need no sign.
    header = f"M:4/4\nL:1/8\nK:C{mode if mode in PLAIN_MODES else 'maj'}\n"
    try:
        tune = parse_tune(header + text)
        tokens = tokeniser(model.tokens).tokens(tune)[2:]
    except NotationError as err:
        line, column = (err.line or 0) - _HEADER_LINES, err.column
        place = f"line {line}, " * (line > 1) + f"column {column}: " if column else ""
        raise ParameterError(f"prime {text!r}: {place}{err.message}") from err
    is_open = not isinstance(tune.elements[-1], BarLine)
    return tuple(tokens[:-1] if is_open and tokens[-1] == "|" else tokens)
