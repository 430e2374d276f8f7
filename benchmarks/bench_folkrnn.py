"""Sampling of tunes from folk-rnn: tokens per second against nn.LSTM step by step.

The bars are 4 against nn.LSTM's loop and 1 against ONNX Runtime, with 1, 8 and 64 tunes at a time.

"folk-rnn" has 3 layers of 512 and random weights, "folkrnn-small" is the model that comes with the
package, 2 layers of 256; it reads positions, which all rivals compute by the same reader.

"nn.LSTM" is the loop that one writes first: one step of the module for the whole batch, softmax,
`torch.multinomial`, until the last tune has ended. "ONNX Runtime" runs the same step as a graph.
Ours is all of `otoscope.folk.model.sample`, each tune with its own generator. On one thread.

Lengths of "whole tunes" have the quantiles of the authors' corpus (median 152, 5 % below 92, 95 %
below 314): tunes that have ended leave our batch and the next come in; in the loop they wait for
the longest. "in step": all tunes are equally long, and none waits. A batch of 64 is bound there by
what all rivals must do: "multiplications" are the products with the weights alone, by our kernel,
"positions" the reader of the positions alone.

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
from folkrnn_graph import onnx_step
from otoscope import native
from otoscope.folk.model import FolkModel, FolkRNN, SamplingConfig, load_folkrnn
from otoscope.folk.model.fixed_order import _PANEL, _packed
from otoscope.folk.model.sampler import _Sampler, _Tune
from otoscope.folk.tokens import Vocabulary
from timing import Bar, Case, Timing, compare, ratio

N_TOKENS = 137
_BAR = 4.0
_FLOAT64_TOKENS = 10_000  # more are not sampled in float64, too
_PARTS = ("multiplications", "positions")


@dataclass(frozen=True)
class Sizes:
    """Sizes of a run."""

    hidden: int
    layers: int
    alone: int  # tokens of one tune
    in_step: int  # of each of 64
    tunes: int  # whole ones, 64 at a time; an eighth of them 8 at a time
    rounds: int
    longest: int = 2000  # tokens, at which whole tunes are cut


SIZES = {
    "cpu": Sizes(512, 3, alone=172, in_step=60, tunes=256, rounds=3),
    "cuda": Sizes(512, 3, alone=172, in_step=172, tunes=256, rounds=3),
    "quick": Sizes(8, 2, alone=6, in_step=4, tunes=70, rounds=1, longest=5),
}


def folk_model(sizes: Sizes, device: str) -> FolkModel:
    """A model with random weights that never ends a tune of itself."""
    network = FolkRNN(N_TOKENS, hidden=sizes.hidden, layers=sizes.layers).eval().to(device)
    vocabulary = Vocabulary(("<s>", "</s>", *(f"t{i}" for i in range(N_TOKENS - 2))))
    with torch.no_grad():
        network.output.bias[vocabulary.stop] = -1e4
    return FolkModel(network, vocabulary, "v1")


def shipped() -> FolkModel:
    """The model of the package, made never to end a tune of itself."""
    model = load_folkrnn()
    with torch.no_grad():
        model.network.output.bias[model.vocabulary.stop] = -1e4
    return model


def lengths(n: int) -> list[int]:
    """Lengths of tunes, as the authors' corpus has them: 172 tokens in the mean."""
    normal = np.random.default_rng(0).normal(size=n)
    above, below = np.log(314 / 152) / 1.645, np.log(152 / 92) / 1.645
    return [round(152 * np.exp(z * (above if z > 0 else below))) for z in normal]


def ours(model: FolkModel, ends: list[int], batch: int, precision: str | None) -> Callable[[], int]:
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
            state, positions = network.initial_state(len(part)), positions_of(model, len(part))
            for _ in range(max(part)):
                read = positions(ids.tolist())
                at = None if read is None else torch.from_numpy(read)[:, None].to(ids.device)
                logits, state = network(ids[:, None], state, positions=at)
                ids = torch.multinomial(torch.softmax(logits[:, 0], dim=1), 1)[:, 0]
        return sum(ends)

    return sampled


def positions_of(model: FolkModel, n: int) -> Callable[[list[int]], NDArray[np.int64] | None]:
    """Reader of the positions after the latest token of each of n tunes; None without inputs."""
    if model.positions is None:
        return lambda _: None
    tunes = [model.positions.begin() for _ in range(n)]
    return lambda ids: np.array([tune.after(token) for tune, token in zip(tunes, ids, strict=True)])


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
            positions = positions_of(model, len(part))
            for _ in range(max(part)):
                given = {"ids": ids, "h": state[0], "c": state[1]}
                if (read := positions(ids[0].tolist())) is not None:
                    given["positions"] = read[None]
                logits, *state = session.run(None, given)
                weights = np.exp(logits - logits.max(axis=1, keepdims=True)).cumsum(axis=1)
                drawn = random.random((len(part), 1)) * weights[:, -1:]
                ids = (weights <= drawn).sum(axis=1)[None]
        return sum(ends)

    return sampled


def cases(device: str, sizes: Sizes) -> Iterator[Case]:
    """Run all cases on a device."""
    torch.set_num_threads(1)
    whole = [min(length, sizes.longest) for length in lengths(sizes.tunes)]
    few = whole[: sizes.tunes // 8]
    in_step = [sizes.in_step] * 64
    for model, name in ((folk_model(sizes, device), ""), (shipped(), "folkrnn-small: ")):
        model.network.to(device)
        yield from pair(f"{name}1 tune", model, [sizes.alone], 1, sizes.rounds)
        yield from pair(f"{name}{len(few)} whole tunes, batch 8", model, few, 8, sizes.rounds)
        yield from pair(f"{name}{len(whole)} whole tunes, batch 64", model, whole, 64, sizes.rounds)
        yield from pair(f"{name}64 tunes in step", model, in_step, 64, sizes.rounds)


def pair(name: str, model: FolkModel, ends: list[int], batch: int, rounds: int) -> Iterator[Case]:
    """Sample tunes of these lengths with all rivals; yield the cases of both bars."""
    device = model.network.hidden_init.device.type
    rivals: dict[str, Callable[[], object]] = {
        "ours": ours(model, ends, batch, None),
        "nn.LSTM": plain(model, ends, batch),
    }
    if sum(ends) < _FLOAT64_TOKENS:
        rivals["ours, float64"] = ours(model, ends, batch, "float64")
    if device == "cpu" and find_spec("onnxruntime") and find_spec("onnx"):
        rivals["ONNX Runtime"] = graph(model, ends, batch)
    is_in_step = "in step" in name
    if is_in_step and device == "cpu":
        rivals |= parts(model, ends[0], batch)
    timings: dict[str, Timing] = compare(rivals, device=device, repeats=rounds, warmup=1)
    tokens = sum(ends)
    rates = {name: tokens / timings[name].median_s for name in rivals if name not in _PARTS}
    print(f"{name}: " + ", ".join(f"{rival} {rate:,.0f} tokens/s" for rival, rate in rates.items()))
    facts = {
        "hidden": model.network.hidden,
        "layers": model.network.layers,
        "inputs": list(model.network.inputs),
        "tokens": tokens,
        "batch": batch,
        "tokens_per_s": rates,
        "isa": device if device == "cuda" else native.isa(),
        "threads": torch.get_num_threads(),
    }
    name = f"{name}, {tokens:,} tokens"
    bar = Bar("nn.LSTM / ours", ratio(timings["nn.LSTM"], timings["ours"]), _BAR)
    if is_in_step and not bar.met:
        facts["cause"] = cause(timings, operations(model, tokens))
    yield Case(f"{name}: {rates['ours']:,.0f} tokens/s", facts, timings, bar)
    if "ONNX Runtime" in timings:
        both = {rival: timings[rival] for rival in ("ours", "ONNX Runtime")}
        bar = Bar("ONNX Runtime / ours", ratio(both["ONNX Runtime"], both["ours"]), 1.0)
        yield Case(f"beside ONNX Runtime: {name}", {"tokens": tokens, "batch": batch}, both, bar)


def parts(model: FolkModel, steps: int, batch: int) -> dict[str, Callable[[], object]]:
    """What every rival must do for a number of steps, by itself."""
    packed, product = _packed(model.network), native.host_kernel("packed_product")
    arguments = [
        (torch.randn(batch, weight.shape[1]), weight, torch.empty(batch, len(weight) * _PANEL))
        for weight in (*packed.weights, packed.output[0])
    ]

    def multiplications() -> None:
        for _ in range(steps):
            for given in arguments:
                product(*given, torch.get_num_threads())

    def positions() -> None:
        read = positions_of(model, batch)
        ids = np.random.default_rng(0).integers(2, len(model.vocabulary), (steps, batch)).tolist()
        for row in ids:
            read(row)

    made: dict[str, Callable[[], object]] = {"multiplications": multiplications}
    return made if model.positions is None else made | {"positions": positions}


def operations(model: FolkModel, tokens: int) -> int:
    """Additions and multiplications of the products of our kernel for a number of tokens."""
    packed = _packed(model.network)
    return 2 * tokens * sum(weight.numel() for weight in (*packed.weights, packed.output[0]))


def cause(timings: dict[str, Timing], n_operations: int) -> str:
    """Say how much of the time that the bar leaves goes to what every rival must do."""
    most = timings["nn.LSTM"].median_s / _BAR
    taken = {part: timings[part].median_s / most for part in _PARTS if part in timings}
    told = " and ".join(f"the {part} {fraction:.0%}" for part, fraction in taken.items())
    rate = n_operations / timings["multiplications"].median_s / 1e9
    return (
        "what all rivals must do takes, of the quarter of nn.LSTM's time that the bar leaves, "
        f"{told}; the multiplications run at {rate:.0f} GFLOP/s in one thread"
    )


def main() -> None:
    """Measure, and write the results."""
    run("folkrnn", __doc__, cases, SIZES)


if __name__ == "__main__":
    main()
