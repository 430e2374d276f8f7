"""DNSMOS: what listeners would say of the quality of speech, from 1 to 5, by two networks.

The weights are the initializers of ONNX files in the installed package ``speechmos`` (MIT), read
without running their graphs; the networks are implemented here, and differentiable.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import torch
from torch import Tensor, nn

from otoscope.models.listener import Listener
from otoscope.models.waveform import WaveformListener
from otoscope.models.zoo.weights import fill, package_file, read_onnx
from otoscope.signal import Compression, FrontEnd, mono

__all__ = ["DNSMOS", "Opinion", "load_dnsmos", "load_p808", "speech_rating"]

INSTALL = "pip install speechmos==0.0.1.1"
SECONDS = 9.01

SAMPLE_RATE = 16000
_BINS = 161
_LEAST = 1e-12  # power
_PARTS = ("real", "imag")

# From raw scores to those of listeners in P.835 tests: coefficients of x^2, x and 1.
_SCALES = {
    "signal": (-0.08397278, 1.22083953, 0.0052439),
    "background": (-0.13166888, 1.60915514, -0.39604546),
    "overall": (-0.06766283, 1.11546468, 0.04602535),
}


class Opinion(nn.Module):
    """Network from pictures [batch, 1, frame, band] to raw scores [batch, score].

    ``channels`` are those of the convolutions; a pooling follows those in ``pooled``.
    """

    outputs = "values"

    def __init__(
        self, channels: tuple[int, ...], pooled: tuple[int, ...], n_hidden: int, n_scores: int
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, n in enumerate(channels):
            layers += [nn.Conv2d(channels[i - 1] if i else 1, n, 3, padding=1), nn.ReLU()]
            if i in pooled:
                layers.append(nn.MaxPool2d(2))
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            *(nn.Linear(channels[-1], n_hidden), nn.ReLU(), nn.Linear(n_hidden, 64), nn.ReLU())
        )
        self.scores = nn.Linear(64, n_scores)

    def forward(self, batch: Tensor) -> Tensor:
        """Compute raw scores."""
        scores: Tensor = self.scores(self.dense(self.convolutions(batch).amax((2, 3))))
        return scores


class DNSMOS(nn.Module):
    """DNSMOS P.835 of sounds at 16 kHz: quality of the speech, of the background, and overall.

    Source: Reddy et al. (2022) :cite:`reddy2022`.
    """

    scales: Tensor

    outputs = "values"

    def __init__(self) -> None:
        super().__init__()
        self.spectrum = nn.Conv1d(1, 2 * _BINS, 320, stride=160, bias=False)  # learned
        self.opinion = Opinion((128, 64, 64, 32, 32, 32, 64), (3, 4, 5), 128, len(_SCALES))
        self.register_buffer("scales", torch.empty(3, len(_SCALES)))

    def forward(self, sounds: Tensor) -> Tensor:
        """Compute the scores [batch, 3] of sounds [batch, sample] of 9.01 s."""
        parts = self.spectrum(sounds[:, None]).unflatten(1, (2, _BINS))
        power = parts.square().sum(1).mT
        raw = self.opinion(power.clamp(min=_LEAST).log10()[:, None])
        square, linear, constant = self.scales
        scores: Tensor = (square * raw + linear) * raw + constant
        return scores

    @torch.no_grad()
    def rate(self, y: Tensor) -> dict[str, float]:
        """Compute the scores of a sound [sample] of any length, as the package does.

        A short sound is repeated; of a long one, the scores of every second are averaged.
        """
        n = int(SECONDS * SAMPLE_RATE)
        while len(y) < n:
            y = torch.cat([y, y])
        n_hops = int(len(y) // SAMPLE_RATE - SECONDS) + 1
        excerpts = [y[i * SAMPLE_RATE :][:n] for i in range(n_hops)]
        scores = torch.cat([self(excerpt[None]) for excerpt in excerpts if len(excerpt) == n])
        return dict(zip(_SCALES, scores.mean(0).tolist(), strict=True))


def load_dnsmos() -> WaveformListener:
    """Read DNSMOS P.835 from the installed package, whose scores agree to 1e-4."""
    return WaveformListener(
        _read_dnsmos(), sample_rate=SAMPLE_RATE, seconds=SECONDS, output_names=list(_SCALES)
    ).eval()


def speech_rating() -> Callable[[Tensor, float], float]:
    """Read DNSMOS P.835 as a function of a sound [sample] and its rate: overall quality, 1 to 5."""
    network = _read_dnsmos()
    return lambda y, sr: network.rate(mono(y, sr, sr=SAMPLE_RATE)[0])["overall"]


def load_p808() -> Listener:
    """Read DNSMOS P.808, overall quality from a log-mel spectrogram, from the installed package.

    Source: Reddy et al. (2021) :cite:`reddy2021`. The package's scores agree to 1e-4.
    """
    path = package_file("speechmos", "dnsmos_models/model_v8.onnx", command=INSTALL)
    with torch.device("meta"):  # no memory and no random numbers before the weights
        network = Opinion((32, 32, 32, 32, 64), (0, 1, 3), 64, 1)
    state = _state(network, read_onnx(path, command=INSTALL))
    front_end = FrontEnd(
        sample_rate=SAMPLE_RATE,
        n_fft=321,
        hop_length=160,
        n_mels=120,
        fmin=0.0,
        fmax=SAMPLE_RATE / 2,
        filters="slaney",
        window="hann",
        power=2.0,
        centred=True,
        compression=Compression("db", 1e-10, ref="max", top_db=80.0),
    )
    return Listener(
        fill(network, state, path, command=INSTALL),
        front_end,
        mean=torch.full((120,), -40.0),
        std=torch.full((120,), 40.0),
        patch_frames=900,
        output_names=["quality"],
        per_excerpt=True,
    ).eval()


def _read_dnsmos() -> DNSMOS:
    path = package_file("speechmos", "dnsmos_models/sig_bak_ovr.onnx", command=INSTALL)
    weights = read_onnx(path, command=INSTALL)
    with torch.device("meta"):  # no memory and no random numbers before the weights
        network = DNSMOS()
    parts = [weights.get(f"time2freq/stft-{part}/kernel:0", torch.empty(0)) for part in _PARTS]
    state = {
        "spectrum.weight": torch.cat([part.mT for part in parts]),
        "scales": torch.tensor(list(_SCALES.values())).T,
        **_state(network.opinion, weights, prefix="opinion."),
    }
    return fill(network, state, path, command=INSTALL)


def _state(network: Opinion, weights: dict[str, Tensor], *, prefix: str = "") -> dict[str, Tensor]:
    """Assign the weights of convolutions and dense layers in the order of their numbers."""
    kinds = {
        nn.Conv2d: (r"conv2d(?:_(\d+))?/", "kernel:0", "bias:0"),
        nn.Linear: (r".*/dense(?:_(\d+))?/", "MatMul/", "BiasAdd/"),
    }
    state = {}
    for kind, (pattern, weight, bias) in kinds.items():
        layers = [name for name, layer in network.named_modules() if isinstance(layer, kind)]
        for ending, ours in ((weight, "weight"), (bias, "bias")):
            numbered = {
                int(match[1] or 0): values
                for name, values in weights.items()
                if (match := re.match(pattern + ending, name))
            }
            for layer, number in zip(layers, sorted(numbered), strict=False):
                values = numbered[number]
                is_transposed = kind is nn.Linear and ours == "weight"
                state[f"{prefix}{layer}.{ours}"] = values.T if is_transposed else values
    return state
