from . import abc, data, interchange, metrics, model, report, tokens, train, workflows
from .abc import Tune, book_to_abc, parse_tune, read_book, to_abc
from .data import generate_tune, load_prepared, read_tunes
from .metrics import check_tune, compare_tunes, summarise
from .model import (
    FolkModel,
    FolkRNN,
    SamplingConfig,
    import_folkrnn,
    load_folkrnn,
    nats_per_token,
    sample,
    save_folkrnn,
    surprise,
)
from .train import TrainFolkConfig, train_folk

__all__ = [
    "FolkModel",
    "FolkRNN",
    "SamplingConfig",
    "TrainFolkConfig",
    "Tune",
    "abc",
    "book_to_abc",
    "check_tune",
    "compare_tunes",
    "data",
    "generate_tune",
    "import_folkrnn",
    "interchange",
    "load_folkrnn",
    "load_prepared",
    "metrics",
    "model",
    "nats_per_token",
    "parse_tune",
    "read_book",
    "read_tunes",
    "report",
    "sample",
    "save_folkrnn",
    "summarise",
    "surprise",
    "to_abc",
    "tokens",
    "train",
    "train_folk",
    "workflows",
]
