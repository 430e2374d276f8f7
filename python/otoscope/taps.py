"""Outputs of named layers of any ``nn.Module``, recorded while it runs.

Names are those of ``named_modules()``. A layer that runs several times gives its last output.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from threading import Lock, get_ident

from torch import Tensor, nn

from otoscope.errors import Advice, ParameterError
from otoscope.protocols import as_outputs

__all__ = ["Tap", "layer_outputs", "recording"]


@contextmanager
def recording(module: nn.Module, *layers: str) -> Iterator[dict[str, Tensor]]:
    """Record the outputs of layers while the block runs.

    Parameters
    ----------
    module : nn.Module
        Network, in its own mode.
    *layers : str
        Names of layers, for example "conv1" or "front.0.norm".

    Yields
    ------
    dict of str to Tensor
        Outputs by layer, filled by each forward pass of this thread: copies, which later layers do
        not change. They carry gradients where these are enabled.

    Raises
    ------
    ParameterError
        If there is no such layer (the message lists the nearest names), or its output is not a
        Tensor.

    Examples
    --------
    >>> import torch
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> with recording(net, "0") as outputs:
    ...     _ = net(torch.zeros(1, 2))
    >>> outputs["0"].shape
    torch.Size([1, 3])
    """
    modules = {name: _layer(module, name) for name in layers}
    outputs: dict[str, Tensor] = {}
    with _HOOKS:
        hooks = [
            layer.register_forward_hook(partial(_keep, outputs, name, get_ident()))
            for name, layer in modules.items()
        ]
    try:
        yield outputs
    finally:
        with _HOOKS:
            for hook in hooks:
                hook.remove()


def layer_outputs(module: nn.Module, batch: Tensor, *layers: str) -> dict[str, Tensor]:
    """Run a network once and return the outputs of layers.

    Parameters
    ----------
    module : nn.Module
        Network.
    batch : Tensor [batch, ...]
        Input of the network.
    *layers : str
        Names of layers.

    Returns
    -------
    dict of str to Tensor
        Outputs by layer, in the order of ``layers``.

    Raises
    ------
    ParameterError
        If there is no such layer, it did not run, or its output holds no Tensor; of several parts,
        `otoscope.protocols.as_outputs` takes one.

    Examples
    --------
    >>> import torch
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> layer_outputs(net, torch.zeros(1, 2), "1", "0").keys()
    dict_keys(['1', '0'])
    """
    with recording(module, *layers) as outputs:
        module(batch.clone())  # a layer may write into the input
    for name in layers:
        if name not in outputs:
            raise ParameterError(f"layer {name!r} did not run in this forward pass")
    return {name: outputs[name] for name in layers}


@dataclass(frozen=True)
class Tap:
    """Function from the input of a network to the output of one of its layers.

    Parameters
    ----------
    module : nn.Module
        Network.
    layer : str
        Name of the layer.

    Raises
    ------
    ParameterError
        If there is no such layer; the message lists the nearest names.

    Examples
    --------
    >>> import torch
    >>> tap = Tap(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), "0")
    >>> tap(torch.zeros(4, 2)).shape
    torch.Size([4, 3])
    """

    module: nn.Module
    layer: str

    def __post_init__(self) -> None:
        _layer(self.module, self.layer)

    def __call__(self, batch: Tensor) -> Tensor:
        """Return the layer's output [batch, ...] for a batch [batch, ...]."""
        return layer_outputs(self.module, batch, self.layer)[self.layer]


_HOOKS = Lock()
"""Held while hooks come and go: PyTorch numbers them without one."""


def _keep(
    outputs: dict[str, Tensor],
    name: str,
    thread: int,
    _layer: nn.Module,
    _inputs: object,
    output: object,
) -> None:
    if get_ident() != thread:
        return
    try:
        output = as_outputs(output)
    except ParameterError as err:  # several parts, of which none is the usual one
        message = err.message.replace("the model", f"layer {name!r}", 1)
        raise ParameterError(message, advice=Advice("name a layer inside it")) from None
    if not isinstance(output, Tensor):
        raise ParameterError(
            f"layer {name!r} gives {type(output).__name__}, must give a Tensor, or a tuple, "
            "dictionary or object that holds one"
        )
    outputs[name] = output.clone()


def _layer(module: nn.Module, name: str) -> nn.Module:
    layers: dict[str, nn.Module] = dict(module.named_modules())
    del layers[""]
    if name not in layers:
        nearest = get_close_matches(name, layers, n=3, cutoff=0.4) or list(layers)[:8]
        raise ParameterError(
            f"{type(module).__name__} has no layer {name!r}; "
            f"nearest: {', '.join(nearest) or 'none'}"
        )
    return layers[name]
