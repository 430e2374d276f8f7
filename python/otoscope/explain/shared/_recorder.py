"""Recorder: ATen operations of a call, written into a graph while they are computed.

Operations are seen before PyTorch decomposes them. ``make_fx`` sees the same, but imports
PyTorch's compiler for it, which takes longer than an explanation.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._C import DispatchKey, _TorchDispatchModeKey
from torch._dispatch.python import enable_python_dispatcher, no_python_dispatcher
from torch.fx.experimental.proxy_tensor import ProxyTorchDispatchMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from otoscope.explain.shared._replica import Replica

__all__ = ["NotRecorded", "bound_arguments", "record", "settings_of_torch"]

_SIMPLE = {int, float, bool, str, type(None), torch.dtype, torch.device, torch.memory_format}
_READ = {
    *("item", "tolist", "numpy", "__array__", "__bool__", "__int__", "__float__", "__complex__"),
    *("__index__", "__format__", "__dlpack__", "__deepcopy__", "__reduce_ex__", "data_ptr"),
    *("storage", "untyped_storage", "_typed_storage"),
}
_OF_NUMBERS = {"tensor", "as_tensor", "asarray", "new_tensor"}  # read tensors in their lists
_OF_DATA = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
_OF_SHAPE = {
    *("size", "stride", "dim", "numel", "storage_offset", "is_floating_point", "is_complex"),
    *("is_contiguous", "is_same_size", "is_conj", "is_neg", "is_inference", "result_type"),
}


class NotRecorded(Exception):
    """Raised for a call that a graph of operations does not describe; the message says why."""


def record(
    replica: Replica, call: Callable[[Tensor], object], batch: Tensor
) -> tuple[nn.Module, fx.Graph, object]:
    """Compute ``call(batch)``; return its operations, with a node's shape in ``meta["val"]``.

    Tensors of the replica's model are attributes of a module for the graph, so that their values
    are read at every call. Returns this module, the graph, and what the call returned.
    """
    recorder = _Recorder(replica, batch.device)
    recorder.keep(batch, recorder.graph.placeholder("batch"))
    with enable_python_dispatcher(), recorder, _Readings(replica, recorder):
        answer = call(batch)
    if recorder.refusal is not None:  # which the model's code has caught
        raise recorder.refusal
    node = recorder.nodes.get(answer) if isinstance(answer, Tensor) else None
    recorder.graph.output(node)
    return recorder.root, recorder.graph, answer


def settings_of_torch(device: torch.device) -> object:
    """Return PyTorch's settings that choose the operations of a trace and their types.

    Parameters
    ----------
    device : torch.device
        Device of the inputs.

    Returns
    -------
    object
        Settings, to be compared: default dtype, autocast, deterministic algorithms, fast attention.

    Examples
    --------
    >>> cpu = torch.device("cpu")
    >>> settings_of_torch(cpu) == settings_of_torch(cpu)
    True
    """
    return (
        torch.get_default_dtype(),
        torch.is_autocast_enabled(device.type),
        torch.get_autocast_dtype(device.type),
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.mha.get_fastpath_enabled(),
    )


def _is_random(func: torch._ops.OpOverload, args: Any, kwargs: Any) -> bool:
    """Whether an operation draws numbers."""
    if torch.Tag.nondeterministic_seeded not in func.tags and "dropout" not in func._schema.name:
        return False
    arguments = bound_arguments(func, args, kwargs)
    probability = (arguments.get("dropout_p"), arguments.get("dropout"))
    is_training = arguments.get("train", arguments.get("training"))
    return is_training is not False and 0.0 not in probability


def bound_arguments(func: Any, args: Iterable[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return an operation's arguments by name, defaults included."""
    arguments = {
        argument.name: argument.default_value if argument.has_default_value() else None
        for argument in func._schema.arguments
    }
    names = [argument.name for argument in func._schema.arguments]
    return arguments | dict(zip(names, args, strict=False)) | kwargs


class _Recorder(ProxyTorchDispatchMode):
    """Write each operation down when it is computed."""

    refusal: NotRecorded | None = None

    def __init__(self, replica: Replica, device: torch.device) -> None:
        TorchDispatchMode.__init__(self, _dispatch_key=DispatchKey.PreDispatch)
        self._mode_key = _TorchDispatchModeKey.PROXY
        self.enter_stack = []
        self.root, self.graph = nn.Module(), fx.Graph()
        self.nodes: Any = WeakTensorKeyDictionary()
        self._replica = replica
        self._device, self._settings = device, settings_of_torch(device)
        self._constants: list[Tensor] = []  # alive as long as the recorder knows them

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # skipping imports PyTorch's compiler

    def keep(self, tensor: Tensor, node: fx.Node) -> None:
        """Note which node a tensor is the value of."""
        size, stride = tensor.size(), tensor.stride()
        node.meta["val"] = torch.empty_strided(size, stride, dtype=tensor.dtype, device="meta")
        self.nodes[tensor] = node

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        try:
            with torch._C.DisableTorchFunction():  # `_Readings` sees the model's calls alone
                return self._write(func, args, kwargs or {})
        except NotRecorded as problem:
            self.refusal = problem
            raise

    def _write(self, func: Any, args: Any, kwargs: Any) -> Any:
        if not isinstance(func, torch._ops.OpOverload):
            raise NotRecorded(f"{func} is no operation of ATen")
        name = func._schema.name.partition("::")[2]
        if _is_random(func, args, kwargs):
            raise NotRecorded(f"{name} is random")
        if settings_of_torch(self._device) != self._settings:
            raise NotRecorded("it changes PyTorch's settings, such as autocast")
        if name == "detach_" and not args[0].requires_grad:
            return args[0]  # of a new tensor of numbers: nothing to do
        is_ours = any(self._is_ours(value) for value in _tensors(args, kwargs))
        if is_ours and (_OF_DATA & set(func.tags) or (name.startswith("index") and _is_mask(args))):
            raise NotRecorded(f"the result of {name} depends on data")
        self._refuse_writing(func, args, kwargs)
        with no_python_dispatcher():
            result = func(*args, **kwargs)
        made = list(_tensors(result))
        if not made:
            if is_ours and result is not None and name not in _OF_SHAPE:
                raise NotRecorded(f"the result of {name} depends on data")
            return result
        node = self.graph.call_function(func, self._argument(tuple(args)), self._argument(kwargs))
        if isinstance(result, Tensor):
            self.keep(result, node)
        else:
            node.meta["val"] = [None] * len(result)
            for place, part in enumerate(result):
                if isinstance(part, Tensor):
                    self.keep(part, self.graph.call_function(operator.getitem, (node, place)))
                    node.meta["val"][place] = self.nodes[part].meta["val"]
        return result

    def _is_ours(self, tensor: Tensor) -> bool:
        return tensor in self.nodes or self._replica.original(tensor) is not tensor

    def _argument(self, value: Any) -> Any:
        """Return the node of a tensor, in lists too; one from outside becomes an attribute."""
        if isinstance(value, (tuple, list)) and not isinstance(value, torch.Size):
            return type(value)(map(self._argument, value))
        if isinstance(value, dict):
            return {name: self._argument(own) for name, own in value.items()}
        if not isinstance(value, Tensor):
            return value
        if value not in self.nodes:
            original = self._replica.original(value)
            if original is value:
                self._refuse_unknown(value)
            name = f"_tensor{len(self._constants)}"
            setattr(self.root, name, original)
            self._constants.append(value)
            self.keep(value, self.graph.get_attr(name))
        return self.nodes[value]

    def _refuse_unknown(self, tensor: Tensor) -> None:
        """Refuse a tensor that was made from recorded ones where no operation shows it."""
        if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
            raise NotRecorded("it transforms functions, as vmap does")
        if any(_share_memory(tensor, known) for known in list(self.nodes)):
            raise NotRecorded("it uses a tensor's memory without an operation")

    def _refuse_writing(self, func: Any, args: Any, kwargs: Any) -> None:
        """Refuse to write into memory that the model, and not this call, holds."""
        if not func._schema.is_mutable:
            return
        arguments = bound_arguments(func, args, kwargs)
        for argument in func._schema.arguments:
            if argument.alias_info is None or not argument.alias_info.is_write:
                continue
            for tensor in _tensors(arguments[argument.name]):
                mine = tensor in self.nodes and not any(
                    _share_memory(tensor, held)
                    for held in (*self._constants, *self._replica.tensors())
                )
                if not mine:
                    name = func._schema.name.partition("::")[2]
                    raise NotRecorded(f"{name} writes into a parameter")


class _Readings(TorchFunctionMode):
    """See what leaves PyTorch: values of the model are noted, others refused."""

    def __init__(self, replica: Replica, recorder: _Recorder) -> None:
        super().__init__()
        self._replica, self._recorder = replica, recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        try:
            return self._read(func, args, kwargs or {})
        except NotRecorded as problem:
            self._recorder.refusal = problem
            raise

    def _read(self, func: Any, args: Any, kwargs: Any) -> Any:
        name = getattr(func, "__name__", "")
        if name == "__repr__":
            return f"tensor(..., size={tuple(args[0].shape)})"
        used = list(_tensors(args, kwargs))
        if not used:
            return func(*args, **kwargs)
        recorded = [tensor for tensor in used if tensor in self._recorder.nodes]
        originals = [t for t in used if self._replica.original(t) is not t]
        if name in _READ and originals:
            return self._replica.read(func, self._replica.original(args[0]), *args[1:], **kwargs)
        if name in _READ and recorded:
            raise NotRecorded("its control flow depends on data, or it leaves PyTorch")
        result = func(*args, **kwargs)
        lists = [part for part in (*args, *kwargs.values()) if not isinstance(part, Tensor)]
        is_read = name in _OF_NUMBERS and any(True for _ in _tensors(lists))
        if is_read or any(
            value not in self._recorder.nodes and self._replica.original(value) is value
            for value in _tensors(result)
        ):
            self._made_elsewhere(recorded, originals)
        return result

    def _made_elsewhere(self, recorded: list[Tensor], originals: list[Tensor]) -> None:
        """Note values, or refuse them, that became a tensor without an operation."""
        if any(self._replica.original(tensor) is tensor for tensor in recorded):
            raise NotRecorded("it makes a tensor without an operation")
        for tensor in originals:
            self._replica.note(self._replica.original(tensor))


def _tensors(*values: object) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _tensors(*value)
        elif isinstance(value, dict):
            yield from _tensors(*value.values())
        elif type(value) not in _SIMPLE:  # of a class that PyTorch may know
            yield from (leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))


def _is_mask(args: Any) -> bool:
    return any(t.dtype in (torch.bool, torch.uint8) for a in args[1:2] for t in _tensors(a))


def _share_memory(a: Tensor, b: Tensor) -> bool:
    if a.layout is not torch.strided or b.layout is not torch.strided:
        return a is b
    return bool(a.untyped_storage()._cdata == b.untyped_storage()._cdata)
