"""The base class of captum's attributions: a forward function, a name, and progress."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.futures import Future

from otoscope.adapters.captum._arguments import ArgumentError, Inputs
from otoscope.protocols import Adapted

__all__ = ["Attribution", "in_the_form_of", "require_count", "with_additional"]


class Attribution:
    """Base of attribution methods; ``forward_func`` takes the inputs, then additional arguments.

    With ``layout``, inputs, masks and baselines are [batch, 1, frame, mel], and the forward
    function gets them in its own layout, such as "b mel frame".
    """

    attribute: Callable[..., Any]

    def __init__(self, forward_func: Callable[..., Any], *, layout: str | None = None) -> None:
        is_plain = layout is None
        self.forward_func = forward_func if is_plain else Adapted(forward_func, layout=layout)

    @classmethod
    def get_name(cls) -> str:
        """Name the method in words: "Feature Ablation"."""
        return re.sub(r"(?<!^)(?=[A-Z])", " ", cls.__name__)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Give `attribute` the ``__wrapped__`` that captum's NoiseTunnel calls."""
        super().__init_subclass__(**kwargs)
        if "attribute" in vars(cls):
            cls.attribute = _wrapped(cls.attribute)

    @property
    def multiplies_by_inputs(self) -> bool:
        """True, as in captum: a perturbation gives the effect of an input, not a slope."""
        return True

    def has_convergence_delta(self) -> bool:
        """Return False: no error of approximation is available."""
        return False

    def attribute_future(self, *args: Any, **kwargs: Any) -> Future[Any]:
        """Raise NotImplementedError: so does captum for methods without asynchronous forwards."""
        raise NotImplementedError(f"attribute_future is not implemented for {type(self).__name__}")

    def _in_future(self, *args: Any, **kwargs: Any) -> Future[Any]:
        """Attribute a forward function that returns futures; waits for each."""

        def forward(*inputs: Any) -> Any:
            output = self.forward_func(*inputs)
            if not isinstance(output, Future):
                raise ArgumentError(
                    f"forward_func returned a {type(output).__name__}, must be a Future"
                )
            return output.wait()

        future: Future[Any] = Future()
        future.set_result(type(self)(forward).attribute(*args, **kwargs))
        return future

    @contextmanager
    def _progress(self, is_shown: bool, total: int) -> Iterator[Callable[[int], None]]:
        """Show the number of evaluated coalitions on stderr."""
        if not is_shown:
            yield lambda done: None
            return
        columns = (
            TextColumn("{task.description}: {task.percentage:.0f}%"),
            BarColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task(f"{self.get_name()} attribution", total=total)
            yield lambda done: progress.advance(task, done)
            progress.update(task, completed=total)


def _wrapped(attribute: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(attribute)
    def call(*args: Any, **kwargs: Any) -> Any:
        return attribute(*args, **kwargs)

    return call


def in_the_form_of(inputs: Inputs, attributions: tuple[Tensor, ...]) -> Any:
    """Return a tuple for a tuple of inputs, a tensor for a tensor."""
    return attributions if isinstance(inputs, tuple) else attributions[0]


def require_count(name: str, count: object) -> None:
    """Refuse a count that is not an integer >= 1."""
    if not isinstance(count, int) or count < 1:
        raise ArgumentError(f"{name} is {count!r}, must be an integer >= 1")


def with_additional(arguments: object) -> tuple[Any, ...]:
    """Return additional arguments as a tuple."""
    if arguments is None:
        return ()
    return arguments if isinstance(arguments, tuple) else (arguments,)
