"""Eval mode of all modules that a callable runs."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from otoscope.protocols.reach import module_of, modules_of
from otoscope.protocols.signature import Adapted

__all__ = ["evaluating"]


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
    watch = _Watch(modules_of(model))
    try:
        module = module_of(model)
        is_function = module is None or any(isinstance(p, Adapted) for p in module.modules())
        with _calls_seen_by(watch, needed=is_function):
            yield bool(watch.held)
    finally:
        watch.release()


_EVALUATING = threading.Lock()
_HELD: dict[int, int] = {}
"""Number of evaluations of each module that was in train mode before the first of them."""
_HERE = threading.local()
"""Watches of this thread, outermost first."""
_N_WATCHES = 0
_HOOK = None


class _Watch:
    """Modules of one evaluation: those known, and those held in eval mode."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self._known: WeakValueDictionary[int, nn.Module] = WeakValueDictionary()
        self.held: list[nn.Module] = []
        self.hold(modules)

    def hold(self, modules: Iterable[nn.Module]) -> None:
        """Put modules in eval mode."""
        modules = list(modules)
        with _EVALUATING:
            self._known.update({id(part): part for part in modules})
            for part in modules:
                if part.training or id(part) in _HELD:
                    self.held.append(part)
                    _HELD[id(part)] = _HELD.get(id(part), 0) + 1
                    part.training = False

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
                    part.training = True


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
