"""Resemblyzer: speaker embeddings of 1.6 s of speech, and speaker verification with them.

The weights are read from the installed package ``resemblyzer`` (Apache-2.0) as plain tensors; the
network, three LSTM layers trained by Wan et al.'s loss (2018), is implemented here. The package
also cuts pauses, with webrtcvad; here that is left to the user.
"""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.models.listener import Listener
from otoscope.models.zoo.weights import fill, package_file, read_pickled, renamed
from otoscope.signal import Compression, FrontEnd, read_audio

__all__ = ["SpeakerEncoder", "SpeakerVerifier", "Speech", "load_resemblyzer"]

INSTALL = "pip install --no-deps resemblyzer==0.1.4"
PATCH_FRAMES = 160  # 1.6 s
THRESHOLD = 0.75
"""Similarity above which two recordings are taken for one speaker; none is published."""

_SIZE = 256
_LEVEL = 10 ** (-30 / 20)  # root mean square to which quieter sounds are raised
_STEP = 77  # frames between the excerpts of an enrolment: 1.3 per second
_COVERED = 0.75  # of its last excerpt
_COMPRESSION = Compression("log10", 1e-10)  # for pictures: the network expands it again


class Speech(FrontEnd):
    """Front end that first raises a sound below -30 dB (re full scale) to that level."""

    def spectrum(self, y: Tensor) -> Tensor:
        """Compute the complex spectrum [..., frame, bin] of waveforms [..., sample]."""
        return super().spectrum(y * _gain(y))


class SpeakerEncoder(nn.Module):
    """Network of Resemblyzer: 256 numbers >= 0 of norm 1; 1,423,616 weights.

    Source: Wan et al. (2018) :cite:`wan2018`.
    """

    outputs = "values"

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(40, _SIZE, num_layers=3, batch_first=True)
        self.embedding = nn.Sequential(nn.Linear(_SIZE, _SIZE), nn.ReLU())

    def forward(self, batch: Tensor) -> Tensor:
        """Compute embeddings [batch, 256] of excerpts [batch, 1, frame, mel] in log-mel."""
        mel = _COMPRESSION.expand(batch[:, 0])
        _, (hidden, _) = self.lstm(mel)
        return nn.functional.normalize(self.embedding(hidden[-1]))


class SpeakerVerifier(nn.Module):
    """Similarity of a voice to that of an enrolment, by the cosine of their embeddings."""

    enrolment: Tensor

    def __init__(self, encoder: SpeakerEncoder, enrolment: Tensor, threshold: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.threshold = threshold
        self.register_buffer("enrolment", enrolment)

    def similarity(self, batch: Tensor) -> Tensor:
        """Compute the cosine [batch, 1], in [0, 1], of embeddings and enrolment."""
        cosine: Tensor = self.encoder(batch) @ self.enrolment[:, None]
        return cosine

    def forward(self, batch: Tensor) -> Tensor:
        """Compute the similarity [batch, 1] on a scale where the threshold is 0.5.

        The scale is linear from 0 to the threshold, and from there to 1.
        """
        similarity, t = self.similarity(batch).clamp(0, 1), self.threshold
        return torch.where(similarity < t, similarity / t, 1 + (similarity - t) / (1 - t)) / 2


def load_resemblyzer(enrolment: str = "", *, threshold: float = THRESHOLD) -> Listener:
    """Read the encoder from the installed package, or a verifier of the voice in a recording.

    Parameters
    ----------
    enrolment : str
        Sound file with the voice of one speaker, some seconds or more. Without it the outputs are
        the 256 numbers of the embedding.
    threshold : float
        Similarity in (0, 1) from which the speaker is taken to be the same.

    Returns
    -------
    Listener
        Listening model. The package's embeddings, of sounds whose pauses are not cut, agree to
        1e-5.

    Raises
    ------
    MissingExtra
        If the package is not installed.
    ParameterError
        If the recording cannot be read or is silent, or the threshold is out of range.
    """
    if not 0 < threshold < 1:
        raise ParameterError(f"threshold is {threshold}, must be in (0, 1)")
    path = package_file("resemblyzer", "pretrained.pt", command=INSTALL)
    weights = read_pickled(path, command=INSTALL)["model_state"]
    state = {name: weights[name] for name in weights if not name.startswith("similarity")}
    with torch.device("meta"):  # no memory and no random numbers before the weights
        encoder = SpeakerEncoder()
    fill(encoder, renamed(state, {"linear": "embedding.0"}), path, command=INSTALL)
    network: nn.Module = encoder
    names = [f"embedding {i}" for i in range(_SIZE)]
    if enrolment:
        y, _ = read_audio(enrolment, sr=16000)
        if not bool(y.any()):
            raise ParameterError(f"{enrolment} is silent; enrol a recording of one speaker's voice")
        network = SpeakerVerifier(encoder, embed(encoder, y), threshold)
        names = ["same speaker"]
    return Listener(
        network,
        _front_end(Speech),
        patch_frames=PATCH_FRAMES,
        output_names=names,
        per_excerpt=True,
    ).eval()


@torch.no_grad()
def embed(encoder: SpeakerEncoder, y: Tensor) -> Tensor:
    """Compute the embedding [256] of a recording [sample]: the mean over its excerpts, of norm 1.

    A last excerpt of which less than 75 % is sound is left out, unless it is the only one.
    """
    front_end = _front_end(FrontEnd)  # the level is that of the recording, not of an excerpt
    hop = front_end.hop_length
    n_frames = ceil((len(y) + 1) / hop)
    starts = [*range(0, max(1, n_frames - PATCH_FRAMES + _STEP + 1), _STEP)]
    if len(starts) > 1 and len(y) / hop - starts[-1] < _COVERED * PATCH_FRAMES:
        starts.pop()
    missing = (starts[-1] + PATCH_FRAMES) * hop - len(y)
    log_mel = front_end.log_mel(nn.functional.pad(y * _gain(y), (0, max(0, missing))))
    batch = torch.stack([log_mel[start : start + PATCH_FRAMES] for start in starts])
    return nn.functional.normalize(encoder(batch[:, None]).mean(0), dim=0)


def _front_end(kind: type[FrontEnd]) -> FrontEnd:
    return kind(
        sample_rate=16000,
        n_fft=400,
        hop_length=160,
        n_mels=40,
        fmin=0.0,
        fmax=8000.0,
        filters="slaney",
        window="hann",
        power=2.0,
        centred=True,
        compression=_COMPRESSION,
    )


def _gain(y: Tensor) -> Tensor:
    """Compute the factor [..., 1], at least 1, that raises a sound to the level; 1 in silence."""
    level = torch.linalg.vector_norm(y, dim=-1, keepdim=True) / y.shape[-1] ** 0.5
    gain: Tensor = (_LEVEL / level.clamp(min=1e-8)).clamp(min=1)
    return gain
