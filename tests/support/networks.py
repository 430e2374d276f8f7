"""Small networks of all operations that the shared forward pass knows, and of some others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FRAMES, MELS = 29, 24


class Net(nn.Module):
    """A forward function and its parts."""

    def __init__(self, forward: Callable[[Any, Tensor], Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self._function = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        """Do what the function says."""
        return self._function(self, x)


def prepared(net: nn.Module, dtype: torch.dtype = torch.float64, seed: int = 0) -> nn.Module:
    """Give batch norms statistics, as training would; in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean = torch.randn(part.num_features, generator=generator)
            part.running_var = torch.rand(part.num_features, generator=generator) + 0.5
    return net.to(dtype).eval()


def local_networks() -> dict[str, nn.Module]:
    """Networks that are shared to the end under temporal segments."""
    conv = nn.Conv2d
    cells = FRAMES * MELS
    return {
        "same padding, flatten, linear": nn.Sequential(
            conv(1, 4, 3, padding="same"), nn.ReLU(), nn.Flatten(), nn.Linear(4 * cells, 3)
        ),
        "valid padding": nn.Sequential(
            conv(1, 4, (4, 3), padding="valid"), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        ),
        "circular padding, mean": Net(
            lambda n, x: F.gelu(n.c(x)).mean((2, 3)),
            c=conv(1, 4, 5, padding=2, padding_mode="circular"),
        ),
        "reflect padding, stride, amax": Net(
            lambda n, x: n.c(x).amax((2, 3)),
            c=conv(1, 4, 5, padding=2, padding_mode="reflect", stride=2),
        ),
        "replicate padding, dilation, amin of one axis": Net(
            lambda n, x: n.c(x).amin(3).mean(2),
            c=conv(1, 4, 5, padding=(2, 1), padding_mode="replicate", dilation=2),
        ),
        "residual, batch norm, groups": Net(
            lambda n, x: n.o((n.c(x) + n.d(F.relu(n.b(n.c(x))))).mean((2, 3))),
            c=conv(1, 8, 3, padding=1),
            d=conv(8, 8, 3, padding=2, dilation=2, groups=2),
            b=nn.BatchNorm2d(8),
            o=nn.Linear(8, 2),
        ),
        "max and average pools with padding and ceil": Net(
            lambda n, x: F.avg_pool2d(
                F.max_pool2d(n.c(x), 3, 2, 1, ceil_mode=True), 3, 2, 1, count_include_pad=False
            ).sum((1, 2, 3)),
            c=conv(1, 4, 3),
        ),
        "average pool, ceil": Net(
            lambda n, x: F.avg_pool2d(n.c(x), 3, 2, 1, ceil_mode=True).sum((1, 2, 3)),
            c=conv(1, 4, 3),
        ),
        "pools in one dimension": Net(
            lambda n, x: F.avg_pool1d(F.max_pool1d(n.c(x.squeeze(1).mT), 2), 3, 2).amax(-1),
            c=nn.Conv1d(MELS, 6, 3),
        ),
        "bands as channels": Net(
            lambda n, x: n.o(F.leaky_relu(n.d(F.silu(n.c(x.squeeze(1).transpose(1, 2))))).mean(-1)),
            c=nn.Conv1d(MELS, 8, 3, padding=1),
            d=nn.Conv1d(8, 8, 3, dilation=3),
            o=nn.Linear(8, 2),
        ),
        "kernels over all features": Net(
            lambda n, x: (
                n.a(n.c(x.squeeze(1).mT)[:, None]).amax((1, 2, 3))
                + n.b(n.c(x.squeeze(1).mT).mT[:, None]).amax((1, 2, 3))
                + n.g(n.c(x.squeeze(1).mT).unflatten(1, (2, 4))).amax((1, 2, 3))
            ),
            c=nn.Conv1d(MELS, 8, 3, padding=1),
            a=conv(1, 6, (8, 3), padding=(0, 1), stride=(2, 1)),
            b=conv(1, 6, (3, 8), padding="valid", bias=False),
            g=conv(2, 4, (4, 2), groups=2, dilation=(1, 2)),
        ),
        "dense layer on frames": Net(
            lambda n, x: n.o(torch.tanh(n.d(x[:, 0]))).mean(1),
            d=nn.Linear(MELS, 8),
            o=nn.Linear(8, 3),
        ),
        "in place": Net(lambda n, x: _used_twice(F.relu(n.c(x), inplace=True)), c=conv(1, 4, 3)),
        "layer norm over channels, softmax": Net(
            lambda n, x: (
                n.l(n.c(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2).mean((2, 3)).softmax(1)
            ),
            c=conv(1, 4, 3),
            l=nn.LayerNorm(4),
        ),
        "concatenation of channels": Net(
            lambda n, x: torch.cat([n.c(x), n.d(x)[:, :2]], 1).flatten(2).amax(2),
            c=conv(1, 4, 3, padding=1),
            d=conv(1, 4, 5, padding=2),
        ),
        "stack, chunk, unbind": Net(
            lambda n, x: (
                torch.stack([h * h for h in n.c(x).chunk(2, 1)], 1).unbind(1)[1].sum((2, 3))
            ),
            c=conv(1, 4, 3),
        ),
        "adaptive max pool": Net(
            lambda n, x: F.adaptive_max_pool2d(n.c(x), 1).flatten(1), c=conv(1, 4, 3, padding=1)
        ),
        "adaptive average pool of parts": Net(
            lambda n, x: n.o(F.adaptive_avg_pool2d(n.c(x), (9, 11)).flatten(1)),
            c=conv(1, 4, 3),
            o=nn.Linear(4 * 9 * 11, 2),
        ),
        "batch norm of bands, dense": Net(
            lambda n, x: n.o(n.b(x.squeeze(1).transpose(1, 2)).flatten(1)),
            b=nn.BatchNorm1d(MELS),
            o=nn.Linear(cells, 2),
        ),
        "gated linear unit": Net(lambda n, x: F.glu(n.c(x), 1).mean((2, 3)), c=conv(1, 6, 3)),
        "dense only": nn.Sequential(
            nn.Flatten(), nn.Linear(cells, 8), nn.Tanh(), nn.Dropout(), nn.Linear(8, 1)
        ),
        "prelu, one number": Net(
            lambda n, x: n.p(n.c(x)).sum(dim=(1, 2, 3)), c=conv(1, 4, 3), p=nn.PReLU(4)
        ),
        "constant plane": Net(
            lambda n, x: F.relu(n.c(x + torch.linspace(0, 1, FRAMES).to(x)[:, None])).sum(
                (1, 2, 3)
            ),
            c=conv(1, 4, 3),
        ),
        "slices": Net(lambda n, x: n.c(x[:, :, 3:20:2, :10])[..., 1].flatten(1), c=conv(1, 4, 3)),
        "frames without their mean": Net(
            lambda n, x: n.c(x - x.mean(3, keepdim=True)).relu().mean((2, 3)), c=conv(1, 4, 3)
        ),
        "frames by their largest, bands of channels": Net(
            lambda n, x: (n.c(x) / (1 + n.c(x).abs().amax((1, 3), keepdim=True))).sum((2, 3)),
            c=conv(1, 4, 3),
        ),
        "deviation over channels": Net(lambda n, x: n.c(x).std(1).mean((1, 2)), c=conv(1, 4, 3)),
        "matrix product": Net(lambda n, x: (x[:, 0] @ n.o.weight.T).amax(1), o=nn.Linear(MELS, 5)),
        "one channel repeated": Net(
            lambda n, x: (n.c(x.expand(-1, 3, -1, -1)) * n.c(x.repeat(1, 3, 1, 1)).sigmoid()).amax(
                (2, 3)
            ),
            c=conv(3, 4, 3),
        ),
        "normalised channels, larger of two": Net(
            lambda n, x: torch.max(*F.normalize(n.c(x)).narrow(1, -4, 4).chunk(2, 1)).mean((2, 3)),
            c=conv(1, 6, 3),
        ),
        "where": Net(
            lambda n, x: torch.where(x > 0, n.c(x), torch.zeros_like(x)).narrow(2, -20, 9).sum(3),
            c=conv(1, 2, 3, padding=1),
        ),
        "reshaped channels": Net(
            lambda n, x: (
                n.c(x).unflatten(1, (2, 3)).movedim(2, 1).reshape(len(x), 6, 27, 22).mean((2, 3))
            ),
            c=conv(1, 6, 3),
        ),
    }


def other_networks() -> dict[str, nn.Module]:
    """Networks that need whole samples from some operation on."""
    conv = nn.Conv2d
    return {
        "recurrence": Net(
            lambda n, x: n.o(n.g(n.c(x).amax(3).transpose(1, 2))[0][:, -1]),
            c=conv(1, 6, 3),
            g=nn.GRU(6, 5, batch_first=True),
            o=nn.Linear(5, 2),
        ),
        "squeeze and excite": Net(
            lambda n, x: _excited(n.c(x), n.w).mean((2, 3)), c=conv(1, 6, 3), w=nn.Linear(6, 6)
        ),
        "largest along one axis, then the other": Net(
            lambda n, x: n.c(x).max(2)[0].max(-1).values, c=conv(1, 6, 3, stride=(1, 2))
        ),
        "group norm": nn.Sequential(
            conv(1, 6, 3), nn.GroupNorm(2, 6), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        ),
        "attention over time": Net(
            lambda n, x: (n.c(x[:, 0].mT) * n.a(n.c(x[:, 0].mT)).softmax(-1)).sum(-1),
            c=nn.Conv1d(MELS, 6, 3),
            a=nn.Conv1d(6, 1, 1),
        ),
        "self-attention": Net(
            lambda n, x: n.m(x[:, 0], x[:, 0], x[:, 0])[0].mean(1),
            m=nn.MultiheadAttention(MELS, 2, batch_first=True),
        ),
        "a branch of whole samples, then a shared one": Net(
            lambda n, x: (h := n.c(x)).cumsum(2).mean((2, 3)) + F.relu(h).amax((2, 3)),
            c=conv(1, 4, 3),
        ),
        "where the largest is": Net(
            lambda n, x: sum(n.c(x).amax(2).max(2)).double(), c=conv(1, 4, 3)
        ),
        "numbers per sample": Net(
            lambda n, x: torch.addmm(torch.ones(len(x), 1).to(x), x.flatten(1), n.o.weight.T),
            o=nn.Linear(FRAMES * MELS, 2),
        ),
        "counts": Net(lambda n, x: (n.c(x) > 0).sum((2, 3)) // 2 * 1.0, c=conv(1, 4, 3)),
        "bits of another type": Net(
            lambda n, x: F.relu(n.c(x)).view(torch.int64).view(torch.float64).mean((2, 3)),
            c=conv(1, 4, 3),
        ),
        "statistics over the plane": Net(
            lambda n, x: n.c(x)[:, 0].std(-1).mean(-1), c=conv(1, 4, 3)
        ),
    }


def _used_twice(h: Tensor) -> Tensor:
    return (h + torch.sigmoid(h)).amax((2, 3))


def _excited(h: Tensor, dense: nn.Module) -> Tensor:
    gate: Tensor = dense(h.mean((2, 3))).sigmoid()
    return h * gate[:, :, None, None]


def segment_maps() -> dict[str, Tensor]:
    """Maps [frame, mel] of 4 to 7 segments: blocks, and as irregular as can be."""
    frame, mel = torch.meshgrid(torch.arange(FRAMES), torch.arange(MELS), indexing="ij")
    generator = torch.Generator().manual_seed(1)
    centres = torch.rand(7, 2, generator=generator) * torch.tensor([FRAMES, MELS])
    distance = (frame[..., None] - centres[:, 0]) ** 2 + (mel[..., None] - centres[:, 1]) ** 2
    return {
        "temporal": (frame // 5).clamp(max=4),
        "spectral": mel // 6,
        "grid": (frame // 9).clamp(max=2) * 2 + mel // 12,
        "superpixels": distance.argmin(-1),
        "scattered": torch.randint(6, (FRAMES, MELS), generator=generator),
    }
