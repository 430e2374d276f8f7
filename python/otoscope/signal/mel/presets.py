"""Front ends by name: paper E's magnitudes, Schlueter and Grill's, and librosa's."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.signal.mel.domain import Compression
from otoscope.signal.mel.frontend import FrontEnd
from otoscope.signal.mel.pcen import PCEN

__all__ = ["librosa_mel", "magnitude_spectrum", "svd2015"]


def magnitude_spectrum(
    *, sample_rate: int = 22050, n_fft: int = 1024, hop_length: int = 512
) -> FrontEnd:
    """Create the front end of paper E: magnitudes of the bins, neither filtered nor compressed.

    Parameters
    ----------
    sample_rate : int
        Sample rate of the waveforms, in Hz.
    n_fft, hop_length : int
        Samples per frame and between frames.

    Returns
    -------
    FrontEnd
        Front end with n_fft // 2 + 1 bands, not centred, with a symmetric Hann window.

    References
    ----------
    Kereliuk et al. (2015) :cite:`kereliuk2015`, section III.

    Examples
    --------
    >>> import torch
    >>> magnitude_spectrum().log_mel(torch.zeros(22050)).shape
    torch.Size([42, 513])
    """
    return FrontEnd(
        sample_rate=sample_rate,
        n_fft=n_fft,
        hop_length=hop_length,
        n_mels=n_fft // 2 + 1,
        fmin=0.0,
        fmax=sample_rate / 2,
        filters="bins",
        window="hann_symmetric",
        power=1.0,
        centred=False,
        compression=Compression("none"),
    )


def svd2015(*, sample_rate: int = 22050, hop_length: int | None = None) -> FrontEnd:
    """Create the front end of Schlueter and Grill (2015): 80 bands, 70 frames per second.

    Parameters
    ----------
    sample_rate : int
        Sample rate of the waveforms, in Hz.
    hop_length : int, optional
        Samples between frames. Default: 315 at 22,050 Hz; required at other rates.

    Returns
    -------
    FrontEnd
        Front end with 1024 samples per frame, not centred, a symmetric Hann window, magnitudes, and
        ln(max(mel, 1e-7)).

    Raises
    ------
    ParameterError
        If the rate is not 22,050 Hz and ``hop_length`` is not given.

    References
    ----------
    Schlüter and Grill (2015) :cite:`schlueter2015`, section 3.1.

    Examples
    --------
    >>> svd2015().hop_length
    315
    """
    if hop_length is None:
        if sample_rate != 22050:
            raise ParameterError(
                f"sample_rate is {sample_rate}; the hop of 315 samples is for 22050 Hz: "
                f"give hop_length (70 frames per second are {sample_rate / 70:.2f} samples)"
            )
        hop_length = 315
    return FrontEnd(
        sample_rate=sample_rate,
        n_fft=1024,
        hop_length=hop_length,
        n_mels=80,
        fmin=27.5,
        fmax=8000.0,
        filters="svd2015",
        window="hann_symmetric",
        power=1.0,
        centred=False,
        compression=Compression("ln", 1e-7),
    )


def librosa_mel(  # noqa: PLR0913 - librosa's arguments
    *,
    sr: int = 22050,
    n_fft: int = 2048,
    hop_length: int = 512,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    win_length: int | None = None,
    window: str | float | tuple[Any, ...] | Tensor = "hann",
    power: float = 2.0,
    pad_mode: str = "constant",
    htk: bool = False,
    norm: Literal["slaney"] | None = "slaney",
    compression: Compression | PCEN | None = None,
) -> FrontEnd:
    """Create a front end with the values of ``librosa.feature.melspectrogram``, centred.

    Parameters
    ----------
    sr, n_fft, hop_length, n_mels : int
        Sample rate in Hz, samples per frame, samples between frames, and number of bands.
    fmin, fmax : float
        Lower and upper edge of the filters, in Hz; by default 0 and sr / 2.
    win_length, window, power, pad_mode
        See `FrontEnd`.
    htk : bool
        Use HTK's mel scale instead of Slaney's.
    norm : {"slaney"} or None
        Filters of equal area, or of unit height.
    compression : Compression or PCEN, optional
        Compression. Default: ln(max(mel, 1e-10)). ``Compression("db", 1e-10, ref="max",
        top_db=80)`` is ``librosa.power_to_db(ref=np.max)``.

    Returns
    -------
    FrontEnd
        Front end. torchaudio's ``MelSpectrogram`` has ``htk=True, norm=None,
        pad_mode="reflect"``.

    Examples
    --------
    >>> import torch
    >>> librosa_mel().mel(torch.zeros(22050)).shape
    torch.Size([44, 128])
    """
    return FrontEnd(
        sample_rate=sr,
        n_fft=n_fft,
        hop_length=hop_length,
        n_mels=n_mels,
        fmin=fmin,
        fmax=sr / 2 if fmax is None else fmax,
        filters="htk" if htk else "slaney",
        window=window,  # type: ignore[arg-type]  # the front end makes a tuple of a Tensor
        power=power,
        centred=True,
        compression=compression or Compression("ln", 1e-10),
        win_length=win_length,
        norm=norm,
        pad_mode=pad_mode,
    )
