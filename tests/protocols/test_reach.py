"""What a callable reaches, and when two states of it are equal."""

from __future__ import annotations

import contextvars
import functools
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope.protocols.inside import attributes
from otoscope.protocols.reach import modules_of, state_of
from otoscope.taps import Tap

NET = nn.Sequential(nn.Flatten(), nn.Dropout())


class Holder:
    """Holds a network in an attribute, in a list or in its class."""

    shared = NET

    def __init__(self, net: nn.Module) -> None:
        self.net, self.parts = net, [{"net": net}]

    def attribute(self, batch: Tensor) -> Any:
        return self.net(batch)

    def __call__(self, batch: Tensor) -> Any:
        return self.parts[0]["net"](batch)


def of_the_module(batch: Tensor) -> Any:
    return NET(batch)


class Outer(nn.Module):
    """Holds a network where PyTorch does not look."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.hidden = [net]

    def forward(self, batch: Tensor) -> Any:
        return self.hidden[0](batch)


def _decorated(net: nn.Module) -> Callable[..., Any]:
    @torch.no_grad()
    @functools.wraps(of_the_module)
    def call(batch: Tensor) -> Any:
        return net(batch)

    return call


def _cached(net: nn.Module) -> Callable[..., Any]:
    nets = {"net": net}
    pop = nets.pop

    @functools.lru_cache
    def load(name: str) -> nn.Module:
        return pop(name)

    load("net")
    return lambda batch: load("net")(batch)


def _weak(net: nn.Module) -> Callable[..., Any]:
    known: Any = weakref.ref(net)
    return lambda batch: known()(batch)


def _weak_dictionary(net: nn.Module) -> Callable[..., Any]:
    known = weakref.WeakValueDictionary({"net": net})
    return lambda batch: known["net"](batch)


class _Calling(type):
    """Class whose call is one of the network."""

    net = NET

    def __call__(cls, batch: Tensor) -> Any:
        return cls.net(batch)


class Called(metaclass=_Calling):
    """Called as a class."""


CURRENT = contextvars.ContextVar[nn.Module]("CURRENT", default=NET)

WAYS: dict[str, Callable[[nn.Module], Callable[..., Any]]] = {
    "itself": lambda net: net,
    "tap": lambda net: Tap(net, "1"),
    "partial": functools.partial,
    "argument of a partial": lambda net: functools.partial(lambda n, batch: n(batch), net),
    "bound method of the network": lambda net: net.forward,
    "bound method": lambda net: Holder(net).attribute,
    "callable object": Holder,
    "closure": lambda net: lambda batch: net(batch),
    "default": lambda net: lambda batch, net=net: net(batch),
    "decorated": _decorated,
    "global": lambda net: of_the_module,
    "attribute of a class": lambda net: lambda batch: Holder.shared(batch),
    "module in a list": Outer,
    "result of a cached function": _cached,
    "weak reference": _weak,
    "weak dictionary": _weak_dictionary,
    "context variable": lambda net: lambda batch: CURRENT.get()(batch),
    "class of a class": lambda net: Called,
    "partial of a method of a tap": lambda net: functools.partial(Tap(net, "1").__call__),
}


@pytest.mark.parametrize("way", WAYS)
def test_all_ways_to_a_network_are_followed(way: str) -> None:
    assert {id(NET), id(NET[1])} <= {id(part) for part in modules_of(WAYS[way](NET))}


def test_functions_without_a_network_have_no_modules() -> None:
    assert modules_of(torch.sigmoid) == []
    assert modules_of(lambda batch: batch.mean()) == []


@pytest.mark.parametrize("way", WAYS)
def test_an_unchanged_callable_has_equal_states(way: str) -> None:
    model = WAYS[way](NET)
    state = state_of(model)
    assert state.is_complete
    assert state == state_of(model)


def test_cycles_end_and_equal_structures_are_equal() -> None:
    net = Outer(NET)
    net.hidden.append(net)
    assert state_of(net) == state_of(net)
    assert {id(part) for part in modules_of(net)} == {id(net), *map(id, NET.modules())}


def test_states_of_other_types_differ() -> None:
    states = [state_of([value]) for value in (1, 1.0, True, "1", (1,), -0.0, 0.0, None)]
    assert not any(a == b for i, a in enumerate(states) for b in states[:i])


def test_huge_states_are_not_compared() -> None:
    state = state_of(list(range(100_000)))
    assert not state.is_complete
    assert state != state_of([])


def test_attributes_are_those_of_dictionary_and_slots() -> None:
    class Slots:
        __slots__ = ("__dict__", "__own", "kept")

        def __init__(self) -> None:
            self.__own, self.kept, self.free = 1, 2, 3

    assert attributes(Slots()) == {"_Slots__own": 1, "kept": 2, "free": 3}
    assert attributes(iter([])) is None
