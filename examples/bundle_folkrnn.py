"""Bundle the network of folk tunes that comes with the package, with its card.

    otoscope folk prepare aird oneill ryan misc --strict --out tunes --seed 1
    otoscope folk train tunes --mode small --precision bfloat16 --seed 1 --out small
    python examples/bundle_folkrnn.py small tunes

It is written only if it beats the bundle that is there on both counts: nats per token of tunes that
are near no training tune, and how many of 200 sampled tunes are finished, can be read, and have
bars that add up.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from otoscope.errors import ParameterError
from otoscope.folk.abc import NotationError, Tune
from otoscope.folk.data import PreparedTunes, load_prepared
from otoscope.folk.metrics import check_tune, summarise
from otoscope.folk.metrics.summary import Rate
from otoscope.folk.model import FolkModel, load_folkrnn, nats_per_token, sample, save_folkrnn
from otoscope.folk.tokens import get_tokeniser
from otoscope.folk.train import held_out_nats
from otoscope.folk.workflows.book_tunes import held_out_tunes

BUNDLE = Path(__file__).parents[1] / "python/otoscope/folk/model/bundles/folkrnn-small"
N = 200
CARD = {
    "what": "folk-rnn, small: writes tunes in v2 tokens, one by one; it reads each token's place "
    "in the bar and in the part, and what stood there some bars earlier",
    "name": "folkrnn-small",
    "data": "printed collections of 1782 to 1903, in the public domain, as ABC in music21's wheel: "
    "Aird, O'Neill, Ryan, miscFolk; nothing from The Session",
    "prepared": "otoscope folk prepare aird oneill ryan misc --strict --out tunes --seed 1",
    "licence": "Apache-2.0 (weights)",
    "limits": "old prints write dorian and mixolydian as minor and major with accidentals; few "
    "tunes in 12/8 and 3/2; it may repeat what it has seen: folk nearest says what",
}


def valid_rate(model: FolkModel) -> Rate:
    """Return how many of the sampled tunes are finished, can be read, and have bars that add up."""
    checks = [
        (drawn.is_finished, check_tune(tune_of(drawn.tokens, model))) for drawn in sample(model, N)
    ]
    return Rate.of_counts(sum(finished and check.is_valid for finished, check in checks), N)


def tune_of(tokens: tuple[str, ...], model: FolkModel) -> Tune | NotationError:
    """Read a sampled tune, or return what is wrong with it."""
    try:
        return get_tokeniser(model.tokeniser).tune(tokens)
    except NotationError as error:
        return error


def measured(model: FolkModel, tunes: PreparedTunes) -> tuple[float, Rate]:
    """Return both counts by which models are compared."""
    return nats_per_token(model, tunes.test), valid_rate(model)


def main() -> None:
    """Measure, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("training", type=Path, help="folder of otoscope folk train")
    parser.add_argument("tunes", type=Path, help="folder of otoscope folk prepare")
    parser.add_argument("--out", type=Path, default=BUNDLE, help="bundle, without ending")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, tunes = load_folkrnn(options.training / "model"), load_prepared(options.tunes)
    nats, valid = measured(model, tunes)
    print(f"test tunes {nats:.4f} nats per token; {valid.count} of {valid.of} sampled tunes valid")
    try:
        rival_nats, rival = measured(load_folkrnn(options.out), tunes)
    except ParameterError as error:
        print(f"there is none to compare with: {error}")
    else:
        if nats >= rival_nats or valid.count <= rival.count:
            raise SystemExit(f"not written: {options.out} has {rival_nats:.4f} and {rival.count}")
    held_out = held_out_tunes(options.tunes)
    card = {
        **CARD,
        "training": model.card["training"],
        "steps": _steps(options.training),
        "tunes": model.card["tunes"],
        "sources": model.card["sources"],
        "nats_per_token": {
            split: {name: round(value, 4) for name, value in values.items()}
            for split, values in held_out_nats(model, tunes).items()
        },
        "valid": {"count": valid.count, "of": valid.of},
        "held_out": summarise([check_tune(tune.tune) for tune in held_out]).to_dict(),
    }
    save_folkrnn(options.out, replace(model, card=card))
    print(json.dumps({"written": str(options.out)}))


def _steps(folder: Path) -> int:
    """Return the step of the best validation, from the checkpoint."""
    content = torch.load(folder / "checkpoint.ckpt", map_location="cpu", weights_only=True)
    step, _ = min(content["scores"], key=lambda score: score[1])
    return int(step)


if __name__ == "__main__":
    main()
