"""Sampling of tunes from folk-rnn, 3 layers of 512: tokens per second against nn.LSTM step by step.

"nn.LSTM" is the loop that one writes first: one step of the module for the whole batch, softmax,
`torch.multinomial`, until the last tune has ended. "ONNX Runtime" runs the same step as a graph.
Ours is all of `otoscope.folk.model.sample`, each tune with its own generator. On one thread.

Lengths of "whole tunes" have the quantiles of the authors' corpus (median 152, 5 % below 92, 95 %
below 314): tunes that have ended leave our batch and the next come in; in the loop they wait for
the longest. "in step": all tunes are equally long, and none waits. There a batch of 64 is bound
by the multiplications, which all rivals must do.

    python benchmarks/bench_folkrnn.py [--device cpu|cuda] [--quick]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray

from command import run
from otoscope import native
from otoscope.folk.model import FolkModel, FolkRNN, SamplingConfig
from otoscope.folk.model.sampler import _Sampler, _Tune
from otoscope.folk.tokens import Vocabulary
from timing import Bar, Case, Timing, compare, ratio

N_TOKENS = 137
_BAR = 3.0


@dataclass(frozen=True)
class Sizes:
    """Sizes of a run."""

    hidden: int
    layers: int
    alone: int  # tokens of one tune
    in_step: int  # of each of 64
    tunes: int  # whole ones
    rounds: int


SIZES = {
    "cpu": Sizes(512, 3, alone=172, in_step=60, tunes=256, rounds=3),
    "cuda": Sizes(512, 3, alone=172, in_step=172, tunes=256, rounds=3),
    "quick": Sizes(8, 2, alone=6, in_step=4, tunes=70, rounds=1),
}


def folk_model(sizes: Sizes, device: str) -> FolkModel:
    """A model with random weights that never ends a tune of itself."""
    network = FolkRNN(N_TOKENS, hidden=sizes.hidden, layers=sizes.layers).eval().to(device)
    vocabulary = Vocabulary(("<s>", "</s>", *(f"t{i}" for i in range(N_TOKENS - 2))))
    with torch.no_grad():
        network.output.bias[vocabulary.stop] = -1e4
    return FolkModel(network, vocabulary, "v1")


def lengths(n: int) -> list[int]:
    """Lengths of tunes, as the authors' corpus has them: 172 tokens in the mean."""
    normal = np.random.default_rng(0).normal(size=n)
    above, below = np.log(314 / 152) / 1.645, np.log(152 / 92) / 1.645
    return [round(152 * np.exp(z * (above if z > 0 else below))) for z in normal]


def ours(model: FolkModel, ends: list[int], batch: int, precision: str) -> Callable[[], int]:
    """Our sampler; a tune ends where its numbers do."""
    settings = SamplingConfig(max_tokens=max(ends), precision=precision)

    def tunes() -> Iterator[_Tune]:
        for index, end in enumerate(ends):
            tune = _Tune(index, 0, settings)
            tune.uniform = tune.uniform[:end]
            yield tune

    def sampled() -> int:
        made = _Sampler(model, settings).run(tunes(), batch)
        return sum(len(tune.tokens) for tune in made)

    return sampled


def plain(model: FolkModel, ends: list[int], batch: int) -> Callable[[], int]:
    """One step of nn.LSTM after another, a batch after another."""
    network, start = model.network, model.vocabulary.start

    @torch.inference_mode()
    def sampled() -> int:
        for first in range(0, len(ends), batch):
            part = ends[first : first + batch]
            ids = torch.full((len(part),), start, device=network.hidden_init.device)
            state = network.initial_state(len(part))
            for _ in range(max(part)):
                logits, state = network(ids[:, None], state)
                ids = torch.multinomial(torch.softmax(logits[:, 0], dim=1), 1)[:, 0]
        return sum(ends)

    return sampled


def graph(model: FolkModel, ends: list[int], batch: int) -> Callable[[], int]:
    """The loop of `plain` on ONNX Runtime."""
    onnxruntime = import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        onnx_step(model.network), options, providers=["CPUExecutionProvider"]
    )
    random = np.random.default_rng(0)

    def sampled() -> int:
        for first in range(0, len(ends), batch):
            part = ends[first : first + batch]
            ids = np.full((1, len(part)), model.vocabulary.start)
            state = [value.numpy() for value in model.network.initial_state(len(part))]
            for _ in range(max(part)):
                logits, *state = session.run(None, {"ids": ids, "h": state[0], "c": state[1]})
                weights = np.exp(logits - logits.max(axis=1, keepdims=True)).cumsum(axis=1)
                drawn = random.random((len(part), 1)) * weights[:, -1:]
                ids = (weights <= drawn).sum(axis=1)[None]
        return sum(ends)

    return sampled


def onnx_step(network: FolkRNN) -> bytes:
    """One step as a graph: ids [1, tune], h and c [layer, tune, unit] to logits, h and c."""
    onnx = import_module("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto

    def onnx_order(weight: torch.Tensor) -> NDArray[np.float32]:
        """Gates i, f, g, o as ONNX has them, i, o, f, c; with an axis of directions."""
        i, f, g, o = weight.detach().chunk(4)
        stacked: NDArray[np.float32] = torch.cat([i, o, f, g])[None].numpy()
        return stacked

    nodes, values = [], {"rows": network.input_rows.detach().numpy(), "direction": np.array([1])}
    values["step"] = np.array([0])
    values["weight"] = network.output.weight.detach().numpy()
    values["bias"] = network.output.bias.detach().numpy()
    nodes.append(helper.make_node("Gather", ["rows", "ids"], ["x0"]))
    layers = range(network.layers)
    for state in ("h", "c"):
        names = [f"{state}{layer}" for layer in layers]
        nodes.append(helper.make_node("Split", [state], names, axis=0, num_outputs=len(names)))
    for layer in layers:
        for name, kind in (("W", "weight_ih"), ("R", "weight_hh")):
            values[f"{name}{layer}"] = onnx_order(getattr(network.lstm, f"{kind}_l{layer}"))
        biases = [getattr(network.lstm, f"bias_{kind}_l{layer}") for kind in ("ih", "hh")]
        values[f"B{layer}"] = np.concatenate([onnx_order(bias) for bias in biases], axis=1)
        given = [f"{name}{layer}" for name in ("x", "W", "R", "B")]
        made = [f"y{layer}", f"new_h{layer}", f"new_c{layer}"]
        given += ["", f"h{layer}", f"c{layer}"]
        nodes.append(helper.make_node("LSTM", given, made, hidden_size=network.hidden))
        nodes.append(helper.make_node("Squeeze", [f"y{layer}", "direction"], [f"x{layer + 1}"]))
    nodes.append(helper.make_node("Squeeze", [f"x{network.layers}", "step"], ["top"]))
    nodes.append(helper.make_node("Gemm", ["top", "weight", "bias"], ["logits"], transB=1))
    for state in ("h", "c"):
        parts = [f"new_{state}{layer}" for layer in layers]
        nodes.append(helper.make_node("Concat", parts, [f"new_{state}"], axis=0))
    size = ["layer", "tune", "unit"]
    inputs = [helper.make_tensor_value_info("ids", kinds.INT64, [1, "tune"])]
    inputs += [helper.make_tensor_value_info(state, kinds.FLOAT, size) for state in ("h", "c")]
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


def cases(device: str, sizes: Sizes) -> Iterator[Case]:
    """Run all cases on a device."""
    torch.set_num_threads(1)
    model = folk_model(sizes, device)
    yield case("1 tune", model, [sizes.alone], 1, sizes.rounds)
    whole = lengths(sizes.tunes)
    yield case(f"{sizes.tunes} whole tunes, batch 64", model, whole, 64, sizes.rounds)
    yield case("64 tunes in step", model, [sizes.in_step] * 64, 64, sizes.rounds, bar=None)


def case(
    name: str,
    model: FolkModel,
    ends: list[int],
    batch: int,
    rounds: int,
    *,
    bar: float | None = _BAR,
) -> Case:
    """Sample tunes of these lengths with all rivals."""
    device = model.network.hidden_init.device.type
    rivals: dict[str, Callable[[], object]] = {
        "ours": ours(model, ends, batch, "float32"),
        "ours, float64": ours(model, ends, batch, "float64"),
        "nn.LSTM": plain(model, ends, batch),
    }
    if device == "cpu" and find_spec("onnxruntime") and find_spec("onnx"):
        rivals["ONNX Runtime"] = graph(model, ends, batch)
    timings: dict[str, Timing] = compare(rivals, device=device, repeats=rounds, warmup=1)
    tokens = sum(ends)
    rates = {rival: tokens / timing.median_s for rival, timing in timings.items()}
    print(f"{name}: " + ", ".join(f"{rival} {rate:,.0f} tokens/s" for rival, rate in rates.items()))
    facts = {
        "hidden": model.network.hidden,
        "layers": model.network.layers,
        "tokens": tokens,
        "batch": batch,
        "tokens_per_s": rates,
        "isa": device if device == "cuda" else native.isa(),
        "threads": torch.get_num_threads(),
    }
    target = None
    if bar is not None:
        target = Bar("nn.LSTM / ours", ratio(timings["nn.LSTM"], timings["ours"]), bar)
    rate = f"{rates['ours']:,.0f} tokens/s"
    return Case(f"{name}, {tokens:,} tokens: {rate}", facts, timings, target)


def main() -> None:
    """Measure, and write the results."""
    run("folkrnn", __doc__, cases, SIZES)


if __name__ == "__main__":
    main()
