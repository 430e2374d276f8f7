"""The network that a folk command is asked for, and what its user types as a tune's beginning."""

from __future__ import annotations

from pathlib import Path

from otoscope.errors import ParameterError
from otoscope.models.folkrnn import FolkModel, load_folkrnn
from otoscope.notation import NotationError, Tune, tokeniser
from otoscope.notation.elements import Bar

__all__ = ["SHIPPED", "folk_model", "model_title", "prime_tokens"]

SHIPPED = "folkrnn-small"
_HEADER_LINES = 3


def folk_model(name: str) -> FolkModel:
    """Load a network by its name, its file, or the folder of its training."""
    path = Path(name)
    try:
        return load_folkrnn(path / "model" if path.is_dir() else name)
    except ParameterError as err:
        if name == SHIPPED and not path.with_suffix(".json").exists():
            raise ParameterError(
                f"{name} does not come with this installation; train one "
                "(otoscope folk train DIR --out NEW) and give it: model=NEW"
            ) from err
        raise


def model_title(name: str) -> str:
    """What a title calls the network."""
    return " ".join(Path(name).stem.split())


def prime_tokens(text: str, model: FolkModel, *, meter: str, mode: str) -> tuple[str, ...]:
    """Read a tune's beginning: the model's tokens with spaces between, or ABC on root C.

    Characters (v1) are taken as they are. ABC needs a mode to know what is natural: major unless
    one is given. What is not ABC is refused with its column; what the model does not know, by it.
    """
    if model.tokens == "v1":
        return tuple(text)
    words = tuple(text.split())
    for letter, option in (("M:", "meter"), ("K:", "mode")):
        if found := [word for word in words if word.startswith(letter)]:
            raise ParameterError(f"prime holds {found[0]}; give it by {option}=")
    if all(word in model.vocabulary for word in words):
        return words
    given = {"meter": "4/4" if meter == "*" else meter, "mode": "maj" if mode == "*" else mode}
    header = f"M:{given['meter']}\nL:1/8\nK:C{given['mode']}\n"
    try:
        tune = Tune.from_abc(header + text)
        tokens = tokeniser(model.tokens).tokens(tune)[2:]
    except NotationError as err:
        line, column = (err.line or 0) - _HEADER_LINES, err.column
        if line < 1:  # a meter or a mode that there is not, which the sampler knows better
            raise ParameterError(f"prime with {given}: {err.message}") from err
        place = f"line {line}, column {column}" if "\n" in text else f"column {column}"
        raise ParameterError(f"prime {text!r}, {place}: {err.message}") from err
    is_open = not isinstance(tune.elements[-1], Bar)
    return tuple(tokens[:-1] if is_open and tokens[-1] == "|" else tokens)
