"""One step of folk-rnn as a graph for ONNX Runtime."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from otoscope.folk.model import FolkRNN

__all__ = ["onnx_step"]


def onnx_step(network: FolkRNN) -> bytes:
    """One step as a graph: ids [1, tune], h and c [layer, tune, unit] to logits, h and c.

    A network with inputs takes positions [1, tune, column] too.
    """
    onnx = import_module("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto

    nodes, values = [], {"rows": network.input_rows.detach().numpy(), "direction": np.array([1])}
    values["step"] = np.array([0])
    values["weight"] = network.output.weight.detach().numpy()
    values["bias"] = network.output.bias.detach().numpy()
    nodes.append(helper.make_node("Gather", ["rows", "ids"], ["x" if network.inputs else "x0"]))
    if network.inputs:
        nodes += _read_positions(network, values)
    nodes += _layers(network, values)
    top = "plain" if len(network.copied) else "logits"
    nodes.append(helper.make_node("Gemm", ["top", "weight", "bias"], [top], transB=1))
    if len(network.copied):
        nodes += _raise_copied(network, values)
    size = ["layer", "tune", "unit"]
    inputs = [helper.make_tensor_value_info("ids", kinds.INT64, [1, "tune"])]
    inputs += [helper.make_tensor_value_info(state, kinds.FLOAT, size) for state in ("h", "c")]
    if network.inputs:
        shape = [1, "tune", len(network.offsets)]
        inputs.append(helper.make_tensor_value_info("positions", kinds.INT64, shape))
    outputs = [helper.make_tensor_value_info("logits", kinds.FLOAT, ["tune", "token"])]
    outputs += [
        helper.make_tensor_value_info(f"new_{state}", kinds.FLOAT, size) for state in ("h", "c")
    ]
    constants = [onnx.numpy_helper.from_array(value, name) for name, value in values.items()]
    made_graph = helper.make_graph(nodes, "folk-rnn", inputs, outputs, constants)
    opset = [helper.make_opsetid("", 21)]
    written: bytes = helper.make_model(
        made_graph, opset_imports=opset, ir_version=10
    ).SerializeToString()
    return written


def _layers(network: FolkRNN, values: dict[str, NDArray[Any]]) -> list[Any]:
    """Read x0, h and c with all layers; gives top, new_h and new_c."""
    node, layers = import_module("onnx").helper.make_node, range(network.layers)
    nodes = []
    for state in ("h", "c"):
        names = [f"{state}{layer}" for layer in layers]
        nodes.append(node("Split", [state], names, axis=0, num_outputs=len(names)))
    for layer in layers:
        for name, kind in (("W", "weight_ih"), ("R", "weight_hh")):
            values[f"{name}{layer}"] = _onnx_order(getattr(network.lstm, f"{kind}_l{layer}"))
        biases = [getattr(network.lstm, f"bias_{kind}_l{layer}") for kind in ("ih", "hh")]
        values[f"B{layer}"] = np.concatenate([_onnx_order(bias) for bias in biases], axis=1)
        given = [f"{name}{layer}" for name in ("x", "W", "R", "B")]
        made = [f"y{layer}", f"new_h{layer}", f"new_c{layer}"]
        given += ["", f"h{layer}", f"c{layer}"]
        nodes.append(node("LSTM", given, made, hidden_size=network.hidden))
        nodes.append(node("Squeeze", [f"y{layer}", "direction"], [f"x{layer + 1}"]))
    nodes.append(node("Squeeze", [f"x{network.layers}", "step"], ["top"]))
    for state in ("h", "c"):
        parts = [f"new_{state}{layer}" for layer in layers]
        nodes.append(node("Concat", parts, [f"new_{state}"], axis=0))
    return nodes


def _onnx_order(weight: torch.Tensor) -> NDArray[np.float32]:
    """Gates i, f, g, o as ONNX has them, i, o, f, c; with an axis of directions."""
    i, f, g, o = weight.detach().chunk(4)
    stacked: NDArray[np.float32] = torch.cat([i, o, f, g])[None].numpy()
    return stacked


def _read_positions(network: FolkRNN, values: dict[str, NDArray[Any]]) -> list[Any]:
    """Append the embedded positions [1, tune, column] to x; gives x0."""
    node = import_module("onnx").helper.make_node
    values["position rows"] = network.positions.detach().numpy()
    values["offsets"] = network.offsets.numpy()
    values["flat"] = np.array([1, -1, len(network.offsets) * network.positions.shape[1]])
    return [
        node("Add", ["positions", "offsets"], ["entries"]),
        node("Gather", ["position rows", "entries"], ["read"]),
        node("Reshape", ["read", "flat"], ["columns"]),
        node("Concat", ["x", "columns"], ["x0"], axis=2),
    ]


def _raise_copied(network: FolkRNN, values: dict[str, NDArray[Any]]) -> list[Any]:
    """Raise the plain logits of the tokens that are copied; gives logits."""
    node = import_module("onnx").helper.make_node
    values["gate weight"] = network.gates.weight.detach().numpy()
    values["gate bias"] = network.gates.bias.detach().numpy()
    values["copied"], values["room"] = network.copied.numpy(), np.array([0, 0, 0, 1])
    values["first"], values["last"], values["along"] = map(np.array, ([0], [-1], [1]))
    return [
        node("Gemm", ["top", "gate weight", "gate bias"], ["raise"], transB=1),
        node("Gather", ["positions", "copied"], ["tokens"], axis=2),
        node("Squeeze", ["tokens", "first"], ["to"]),
        node("Pad", ["plain", "room"], ["padded"]),
        node("ScatterElements", ["padded", "to", "raise"], ["raised"], axis=1, reduction="add"),
        node("Slice", ["raised", "first", "last", "along"], ["logits"]),
    ]
