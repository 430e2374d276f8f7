"""Eval mode of all modules that a callable runs, and gradients for its input alone."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from otoscope.protocols.reach import module_of, modules_of
from otoscope.protocols.signature import Adapted

__all__ = ["differentiating", "evaluating"]


@contextmanager
def evaluating(model: object) -> Iterator[bool]:
    """Put a model in eval mode; restore the mode of each module afterwards.

    Several threads may evaluate one model at once: the last restores the modes.

    Parameters
    ----------
    model : object
        Module, or a callable: then all modules that it reaches, by a tap, a partial function, a
        bound method, a closure or a global, and those that it calls meanwhile in this thread,
        wherever they come from.

    Yields
    ------
    bool
        True if a module was in train mode.

    Examples
    --------
    >>> net = nn.Dropout()
    >>> with evaluating(net.forward) as was_training:
    ...     net.training, was_training
    (False, True)
    >>> net.training
    True
    """
    with _watching(model, _Watch()) as was_training:
        yield was_training


@contextmanager
def differentiating(model: object) -> Iterator[None]:
    """Put a model in eval mode, its weights constant: gradients are for its input alone.

    Nothing is kept for the gradients of weights. Modes and weights are restored afterwards; several
    threads may do this with one model at once.

    Parameters
    ----------
    model : object
        Module or callable; see `evaluating`.

    Examples
    --------
    >>> net = nn.Linear(2, 2)
    >>> with differentiating(net):
    ...     net.weight.requires_grad
    False
    >>> net.weight.requires_grad
    True
    """
    with _watching(model, _Watch(is_constant=True)):
        yield


@contextmanager
def _watching(model: object, watch: _Watch) -> Iterator[bool]:
    """Hold the modules of a model, and those that it calls meanwhile; yield if one was training."""
    try:
        watch.hold(modules_of(model))
        module = module_of(model)
        is_function = module is None or any(isinstance(p, Adapted) for p in module.modules())
        with _calls_seen_by(watch, needed=is_function):
            yield watch.was_training
    finally:
        watch.release()


_EVALUATING = threading.Lock()
_HELD: dict[int, int] = {}
"""Number of evaluations of each module that was in train mode, of each weight with a gradient."""
_HERE = threading.local()
"""Watches of this thread, outermost first."""
_N_WATCHES = 0
_HOOK = None


class _Watch:
    """Modules of one evaluation: those known, and those held in eval mode, with their weights."""

    def __init__(self, *, is_constant: bool = False) -> None:
        self._known: WeakValueDictionary[int, nn.Module] = WeakValueDictionary()
        self._is_constant = is_constant
        self.held: list[nn.Module | Tensor] = []

    @property
    def was_training(self) -> bool:
        """Whether a module was in train mode."""
        return any(isinstance(part, nn.Module) for part in self.held)

    def hold(self, modules: Iterable[nn.Module]) -> None:
        """Put modules in eval mode, and make their weights constant if that is asked."""
        modules = list(modules)
        weights: list[Tensor] = []
        if self._is_constant:
            new = (module for module in modules if not self.knows(module))
            weights = list({id(w): w for m in new for w in m.parameters() if w.is_leaf}.values())
        parts: list[nn.Module | Tensor] = [*modules, *weights]
        with _EVALUATING:
            self._known.update({id(part): part for part in modules})
            for part in parts:
                if getattr(part, _switch(part)) or id(part) in _HELD:
                    self.held.append(part)
                    _HELD[id(part)] = _HELD.get(id(part), 0) + 1
                    setattr(part, _switch(part), False)

    def knows(self, module: nn.Module) -> bool:
        """Whether the module's mode was looked at: from then on its own code sets it."""
        return self._known.get(id(module)) is module

    def release(self) -> None:
        """Restore the modes that no other evaluation holds."""
        with _EVALUATING:
            for part in self.held:
                _HELD[id(part)] -= 1
                if not _HELD[id(part)]:
                    del _HELD[id(part)]
                    setattr(part, _switch(part), True)


def _switch(part: nn.Module | Tensor) -> str:
    return "training" if isinstance(part, nn.Module) else "requires_grad"


@contextmanager
def _calls_seen_by(watch: _Watch, *, needed: bool) -> Iterator[None]:
    """Let a watch hold modules that nothing reached before they are called."""
    global _N_WATCHES, _HOOK
    if not needed:
        yield
        return
    watches: list[_Watch] = vars(_HERE).setdefault("watches", [])
    watches.append(watch)
    with _EVALUATING:
        _N_WATCHES += 1
        _HOOK = _HOOK or register_module_forward_pre_hook(_before_call)
    try:
        yield
    finally:
        watches.remove(watch)
        with _EVALUATING:
            _N_WATCHES -= 1
            if not _N_WATCHES and _HOOK is not None:
                _HOOK.remove()
                _HOOK = None


def _before_call(module: nn.Module, inputs: object) -> None:
    for watch in vars(_HERE).get("watches", ()):
        if not watch.knows(module):
            watch.hold(module.modules())
