"""Training of folk-rnn: tokens per CPU second of the loop, against bare steps in plain torch.

"ours" is the loop of `otoscope folk train` from its first step, without validation: batches,
learning rate, loss, steps, and a checkpoint at the end. "bare steps" are those of nn.Embedding,
nn.LSTM, nn.Linear and Adam, of the same sizes and precision, on the same batches, which are made
before; they have no positions, dropout or average, which the small mode has. The bar is that of the
quick mode. Tunes are made by rule; on one thread.

    python benchmarks/bench_folk_train.py [--device cpu|cuda] [--quick]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from command import run
from otoscope.folk.data import PreparedTunes, load_prepared
from otoscope.folk.train.batches import PADDING
from otoscope.folk.train.recipe import Learner, TrainFolkConfig
from otoscope.folk.train.training import _initial_model
from otoscope.folk.workflows.prepare import PrepareFolkConfig, prepare_folk, save_folk
from otoscope.train import LoopConfig, run_training
from timing import Bar, Case, compare, ratio

_BAR = 0.8  # of the bare steps' speed


@dataclass(frozen=True)
class Sizes:
    """Sizes of a run."""

    tunes: int
    steps: int
    rounds: int


SIZES = {"cpu": Sizes(600, 16, 3), "cuda": Sizes(600, 16, 3), "quick": Sizes(150, 2, 1)}


class Unvalidated(Learner):
    """A folk-rnn whose validation takes no time."""

    def validate(self) -> float:
        """Return a constant."""
        return 1.0

    def save_best(self) -> None:
        """Keep nothing."""


def loop(
    learner: Learner, config: TrainFolkConfig, steps: int, folder: Path
) -> Callable[[], object]:
    """Our loop, each time from the first step."""
    lengths = LoopConfig(steps, steps, steps, 1, clip=config.clip, seed=config.seed)
    numbers = count()

    def trained() -> object:
        return run_training(learner, lengths, folder / f"{next(numbers)}.ckpt")

    return trained


def bare(batches: list[Tensor], n_tokens: int, config: TrainFolkConfig) -> Callable[[], object]:
    """Steps of a network in plain torch, each time from new weights."""
    is_short = config.precision == "bfloat16"

    def trained() -> object:
        embedding = nn.Embedding(n_tokens, config.embedding or n_tokens)
        lstm = nn.LSTM(embedding.embedding_dim, config.hidden, config.layers, batch_first=True)
        output = nn.Linear(config.hidden, n_tokens)
        network = nn.ModuleList([embedding, lstm, output]).to(batches[0].device)
        optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
        for ids in batches:
            optimiser.zero_grad()
            with torch.autocast(ids.device.type, torch.bfloat16, enabled=is_short):
                logits = output(lstm(embedding(ids[:, :-1].clamp(min=0)))[0])
            loss = nn.functional.cross_entropy(
                logits.float().flatten(0, 1), ids[:, 1:].flatten(), ignore_index=PADDING
            )
            loss.backward()
            optimiser.step()
        return network

    return trained


def clocked(work: Callable[[], object], seconds: list[float]) -> Callable[[], object]:
    """Append the CPU seconds of each call."""

    def timed() -> object:
        begun = time.process_time()
        result = work()
        seconds.append(time.process_time() - begun)
        return result

    return timed


def cases(device: str, sizes: Sizes) -> Iterator[Case]:
    """Train with both batch sizes on a device."""
    torch.set_num_threads(1)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepared = PrepareFolkConfig((f"generated:{sizes.tunes}",))
        save_folk(prepare_folk(prepared), folder / "tunes")
        tunes = load_prepared(folder / "tunes")
        quick, small = (
            TrainFolkConfig(device=device),
            replace(TrainFolkConfig.small(), device=device),
        )
        for number, (config, bar) in enumerate(
            (
                (quick, _BAR),
                (replace(quick, batch=64), _BAR),
                (small, None),
                (replace(small, precision="bfloat16"), None),
            )
        ):
            yield case(tunes, config, sizes, folder / str(number), bar)


def case(
    tunes: PreparedTunes, config: TrainFolkConfig, sizes: Sizes, folder: Path, least: float | None
) -> Case:
    """Train with one configuration."""
    learner = Unvalidated(_initial_model(tunes, config), tunes, config, folder / "model")
    read = [learner.batches.at(step) for step in range(sizes.steps)]
    batches = [ids if ids.ndim == 2 else ids[..., 0].contiguous() for ids in read]
    tokens = sum(int((ids[:, 1:] != PADDING).sum()) for ids in batches)
    on_device = [ids.to(config.device) for ids in batches]
    work = {
        "ours": loop(learner, config, sizes.steps, folder),
        "bare steps": bare(on_device, len(tunes.vocabulary), config),
    }
    seconds: dict[str, list[float]] = {name: [] for name in work}
    rivals = {name: clocked(one, seconds[name]) for name, one in work.items()}
    timings = compare(rivals, device=config.device, repeats=sizes.rounds, warmup=1)
    rates = {name: tokens / statistics.median(taken[1:]) for name, taken in seconds.items()}
    told = ", ".join(f"{name} {rate:,.0f} tokens per CPU second" for name, rate in rates.items())
    name = f"{config.mode} mode, batch {config.batch}, {config.precision}"
    print(f"{name}: {told}")
    facts = {
        "hidden": config.hidden,
        "layers": config.layers,
        "batch": config.batch,
        "precision": config.precision,
        "tokens": tokens,
        "tokens_per_cpu_s": rates,
        "threads": torch.get_num_threads(),
    }
    name = f"{name}: {rates['ours']:,.0f} tokens per CPU second"
    if least is None:
        return Case(name, facts, timings)
    speed = ratio(timings["bare steps"], timings["ours"])
    return Case(name, facts, timings, Bar("bare steps / ours", speed, least))


def main() -> None:
    """Measure, and write the results."""
    run("folk_train", __doc__, cases, SIZES)


if __name__ == "__main__":
    main()
