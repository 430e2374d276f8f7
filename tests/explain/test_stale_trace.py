"""A trace is used again only while the model is as it was: whatever its code reads may change."""

from __future__ import annotations

import dataclasses
import functools
import os
import random
import sys
import time
import types
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from otoscope.explain import SoundLIME
from otoscope.explain.shared import SharedForward

PICTURE = torch.rand(12, 4, generator=torch.Generator().manual_seed(0)) + 0.5
STATE: dict[str, Any] = {"gain": 1.0}
GAIN = 1.0
SETTINGS: Any = types.ModuleType("otoscope_test_settings")
SETTINGS.deeper = types.ModuleType("otoscope_test_deeper")
SETTINGS.gain = SETTINGS.deeper.gain = 1.0


@dataclasses.dataclass
class Config:
    gain: float = 1.0
    inner: Any = None


class Slotted:
    __slots__ = ("gain",)

    def __init__(self) -> None:
        self.gain = 1.0


class Base(nn.Module):
    base_gain = 1.0


class Net(Base):
    factor: Any = 1.0
    table: ClassVar[Any] = {"gain": [1.0]}

    def __init__(self, read: Callable[[Any], Any]) -> None:
        super().__init__()
        self.read, self.config, self.slotted = read, Config(inner=Config()), Slotted()
        self.space, self.array = types.SimpleNamespace(gain=1.0), np.ones(3)
        self.values, self.scale = {"rows": [Config()]}, torch.tensor(1.0)
        self.temperature = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("on", torch.tensor(False))
        self.register_buffer("bins", torch.tensor([1, 2]))
        self.act = nn.Identity()

    @property
    def gained(self) -> Any:
        return self.factor * 1.0

    def method(self) -> float:
        return 1.0

    def forward(self, x: Tensor) -> Any:
        return self.act(x * self.read(self)).sum((1, 2, 3))


def explained(lime: SoundLIME, patch: Tensor = PICTURE) -> Any:
    return lime.explain(patch)


def total(lime: SoundLIME) -> float:
    return float(explained(lime).shapley.sum())


def explainer(model: Any, **options: Any) -> SoundLIME:
    return SoundLIME(model, segments="temporal:3", content=0.0, **{"shared": True, **options})


def _keyword(net: Any, *, gain: float = 1.0) -> float:
    return gain


DEFAULTS: Any = _keyword.__kwdefaults__


def _method_named_at_run_time(net: Any) -> Any:
    return getattr(net, "meth" + "od")()


def _imports(net: Any) -> Any:
    import otoscope_test_settings  # type: ignore[import-not-found]

    return otoscope_test_settings.gain


def _global(net: Any) -> float:
    return GAIN


def _triple(x: float) -> float:
    return 3.0


def _set_global() -> None:
    globals()["GAIN"] = 3.0


CASES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "field of a config": (lambda n: n.config.gain, lambda n: setattr(n.config, "gain", 3.0)),
    "field of a field": (
        lambda n: n.config.inner.gain,
        lambda n: setattr(n.config.inner, "gain", 3.0),
    ),
    "slot": (lambda n: n.slotted.gain, lambda n: setattr(n.slotted, "gain", 3.0)),
    "namespace": (lambda n: n.space.gain, lambda n: setattr(n.space, "gain", 3.0)),
    "object in a list in a dict": (
        lambda n: n.values["rows"][0].gain,
        lambda n: setattr(n.values["rows"][0], "gain", 3.0),
    ),
    "integer that becomes a float": (
        lambda n: 7 / 2 if n.config.inner == 1 else 1.0,
        lambda n: setattr(n.config, "inner", True),
    ),
    "class attribute": (lambda n: n.factor, lambda n: setattr(Net, "factor", 3.0)),
    "attribute of a base class": (lambda n: n.base_gain, lambda n: setattr(Base, "base_gain", 3.0)),
    "container of a class": (
        lambda n: n.table["gain"][0],
        lambda n: n.table["gain"].__setitem__(0, 3.0),
    ),
    "property": (lambda n: n.gained, lambda n: setattr(Net, "factor", 3.0)),
    "method of the class": (lambda n: n.method(), lambda n: setattr(Net, "method", _triple)),
    "method named at run time": (
        _method_named_at_run_time,
        lambda n: setattr(Net, "method", _triple),
    ),
    "method of the instance": (lambda n: n.method(), lambda n: setattr(n, "method", lambda: 3.0)),
    "parameter by float()": (
        lambda n: float(n.temperature),
        lambda n: n.temperature.data.fill_(3.0),
    ),
    "parameter by item()": (lambda n: n.temperature.item(), lambda n: n.temperature.data.fill_(3)),
    "buffer by tolist()": (lambda n: n.bins.tolist()[0], lambda n: n.bins.fill_(3)),
    "buffer by numpy()": (lambda n: float(n.bins.numpy()[0]), lambda n: n.bins.fill_(3)),
    "branch on a buffer": (lambda n: 3.0 if n.on else 1.0, lambda n: n.on.fill_(True)),
    "tensor in place": (lambda n: n.scale, lambda n: n.scale.fill_(3.0)),
    "array in place": (lambda n: float(n.array[0]), lambda n: n.array.fill(3.0)),
    "variable of this module": (lambda n: STATE["gain"], lambda n: STATE.update(gain=3.0)),
    "global number": (_global, lambda n: _set_global()),
    "variable of another module": (
        lambda n: SETTINGS.gain,
        lambda n: setattr(SETTINGS, "gain", 3.0),
    ),
    "variable of a module of a module": (
        lambda n: SETTINGS.deeper.gain,
        lambda n: setattr(SETTINGS.deeper, "gain", 3.0),
    ),
    "module that the function imports": (_imports, lambda n: setattr(SETTINGS, "gain", 3.0)),
    "default of an argument": (
        _keyword,
        lambda n: DEFAULTS.update(gain=3.0),
    ),
    "argument of a partial function": (
        functools.partial(lambda table, n: table["gain"], STATE),
        lambda n: STATE.update(gain=3.0),
    ),
    "environment": (
        lambda n: float(os.environ.get("OTOSCOPE_TEST_GAIN", "1")),
        lambda n: os.environ.update(OTOSCOPE_TEST_GAIN="3"),
    ),
}


@pytest.fixture(autouse=True)
def _undone(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(STATE, "gain", 1.0)
    monkeypatch.setitem(globals(), "GAIN", 1.0)
    monkeypatch.setattr(Net, "factor", 1.0)
    monkeypatch.setattr(Base, "base_gain", 1.0)
    monkeypatch.setattr(Net, "method", Net.method)
    monkeypatch.setattr(Net, "table", {"gain": [1.0]})
    monkeypatch.setattr(SETTINGS, "gain", 1.0)
    monkeypatch.setattr(SETTINGS.deeper, "gain", 1.0)
    monkeypatch.setitem(DEFAULTS, "gain", 1.0)
    monkeypatch.setenv("OTOSCOPE_TEST_GAIN", "1")
    monkeypatch.setitem(sys.modules, "otoscope_test_settings", SETTINGS)


@pytest.mark.parametrize("case", CASES)
def test_what_the_code_reads_may_change(case: str) -> None:
    read, change = CASES[case]
    net = Net(read).eval()
    lime = explainer(net)
    before = explained(lime)
    assert before.plan.startswith("shared forward pass")
    change(net)
    after, right = total(lime), total(explainer(net, shared=False))
    assert after != pytest.approx(float(before.shapley.sum()), rel=1e-3)
    assert after == pytest.approx(right, rel=1e-5)


class Hook:
    def __init__(self) -> None:
        self.gain = 1.0

    def after(self, module: Any, inputs: Any, output: Any) -> Any:
        return output * self.gain

    def __call__(self, module: Any, inputs: Any) -> Any:
        return (inputs[0] * self.gain,)


def _closure(net: Any) -> Callable[[], None]:
    gain = 1.0

    def change() -> None:
        nonlocal gain
        gain = 3.0

    net.act.register_forward_hook(lambda module, inputs, output: output * gain)
    return change


def _method_hook(net: Any) -> Callable[[], None]:
    hook = Hook()
    net.act.register_forward_hook(hook.after)
    return lambda: setattr(hook, "gain", 3.0)


def _object_before(net: Any) -> Callable[[], None]:
    hook = Hook()
    net.act.register_forward_pre_hook(hook)
    return lambda: setattr(hook, "gain", 3.0)


def _partial_hook(net: Any) -> Callable[[], None]:
    net.act.register_forward_hook(functools.partial(lambda s, m, i, o: o * s["gain"], STATE))
    return lambda: STATE.update(gain=3.0)


def _parametrized(net: Any) -> Callable[[], None]:
    class Times(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = 1.0

        def forward(self, weight: Tensor) -> Tensor:
            return weight * self.gain

    net.act = nn.Conv2d(1, 1, 1)
    times = Times()
    nn.utils.parametrize.register_parametrization(net.act, "weight", times)
    return lambda: setattr(times, "gain", 3.0)


@pytest.mark.parametrize(
    "attach", [_closure, _method_hook, _object_before, _partial_hook, _parametrized]
)
def test_what_hooks_read_may_change(attach: Callable[[Any], Callable[[], None]]) -> None:
    net = Net(lambda n: 1.0).eval()
    change = attach(net)
    lime = explainer(net)
    assert explained(lime).plan.startswith("shared forward pass")
    change()
    assert total(lime) == pytest.approx(total(explainer(net, shared=False)), rel=1e-4)


def test_hooks_of_all_modules_may_change() -> None:
    net = Net(lambda n: 1.0).eval()
    lime = explainer(net)
    before = total(lime)
    handle = nn.modules.module.register_module_forward_hook(
        lambda module, inputs, output: output * 3 if isinstance(module, nn.Identity) else None
    )
    try:
        assert total(lime) == pytest.approx(3 * before, rel=1e-5)
    finally:
        handle.remove()


def test_functions_may_change() -> None:
    net, gains = Net(lambda n: 1.0).eval(), [1.0]
    for model in (
        lambda batch: net(batch) * gains[0],
        functools.partial(lambda gain, batch: net(batch) * gain[0], gains),
        lambda batch: net(batch) * STATE["gain"],
    ):
        gains[0] = STATE["gain"] = 1.0
        lime = explainer(model)
        before = total(lime)
        gains[0] = STATE["gain"] = 3.0
        assert total(lime) == pytest.approx(3 * before, rel=1e-5)


def _n_traces(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    made: list[object] = []
    honest = SharedForward.__init__

    def counted(self: SharedForward, *args: Any) -> None:
        made.append(self)
        honest(self, *args)

    monkeypatch.setattr(SharedForward, "__init__", counted)
    return made


def test_an_unchanged_model_is_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = _n_traces(monkeypatch)
    conv = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 2, 3)), nn.BatchNorm2d(2), nn.ReLU(True)
    )
    conv.append(nn.Flatten())
    conv[0].register_forward_hook(lambda module, inputs, output: output * 2)
    for net in (conv.append(nn.Linear(2 * 10 * 2, 1)), Net(lambda n: float(n.temperature))):
        lime = explainer(net.eval())
        plans = [explained(lime, patch).plan for patch in (PICTURE, PICTURE * 2, PICTURE)]
        assert len(set(plans)) == 1
        assert len(made) == 1
        made.clear()


def relu(patience: float) -> float:
    """Has the name of an attribute that a network uses."""
    return time.time() + patience


def test_globals_named_like_attributes_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    made = _n_traces(monkeypatch)
    lime = explainer(Net(lambda n: torch.relu(n.scale)).eval())
    assert total(lime) == total(lime)
    assert len(made) == 1


def test_weights_are_read_at_every_call_of_one_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    made = _n_traces(monkeypatch)
    net: Any = nn.Sequential(nn.Flatten(), nn.Linear(48, 1)).eval()
    lime = explainer(net)
    total(lime)
    net[1].weight.data.mul_(3)
    net[1].bias.data = torch.ones(1)
    assert total(lime) == pytest.approx(total(explainer(net, shared=False)), rel=1e-4)
    assert len(made) == 1


def test_a_state_that_cannot_be_compared_is_traced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = _n_traces(monkeypatch)
    net: Any = Net(lambda n: 1.0).eval()
    net.generator = random.Random(0)
    lime = explainer(net)
    total(lime)
    total(lime)
    assert len(made) == 2


def test_a_model_that_cannot_be_traced_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = _n_traces(monkeypatch)
    net: Any = Net(lambda n: 1.0).eval()
    net.act.forward = lambda x: x if float(x.sum()) > 0 else -x
    lime = explainer(net)
    assert {explained(lime).plan.split(";")[0] for _ in range(3)} == {
        "plain batches of 8: 8 passes"
    }
    assert len(made) == 1
