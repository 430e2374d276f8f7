"""Renderings kept on disk, found by what they were made of.

A file's name is the hash of the samples, their rate, the intervention's settings and the versions
of what computes it; its content begins with a hash of the rest. So a damaged file is noticed and
made again, and nothing is ever out of date.
"""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene.base import Intervention, SoundIntervention
from otoscope.intervene.source import Source
from otoscope.records import replacing, to_json

__all__ = ["RenderCache"]

_COMPUTING = ("otoscope", "torch", "scipy", "librosa", "soxr", "soundfile", "python-stretch")
_REVISION = 2  # of the renderings: count it up when one of them changes
_DIGEST = 32  # bytes
_SUFFIX = ".samples"


class RenderCache:
    """Render through a folder that remembers.

    Parameters
    ----------
    folder : str or Path
        Made when needed. Files in it that end in ``.samples`` are the cache's to remove.
    max_bytes : int
        Size of all renderings, > 0. When it is reached, those that were not used for longest go,
        down to nine tenths, but none that was used since this cache was opened: if that is all,
        no more are kept. So the same again finds as much as there is room for. Several processes
        may share a folder; each may go beyond the size by a sixteenth.

    Raises
    ------
    ParameterError
        If ``folder`` is a file, or ``max_bytes`` is not positive.

    Notes
    -----
    A folder that cannot be written, or a full disk, stops nothing: the first failure is warned of
    (RuntimeWarning), and from then on renderings are not kept. Samples are kept as they are, four
    or eight bytes each: what comes from the cache is bit by bit what would be computed.

    Examples
    --------
    >>> import tempfile
    >>> from otoscope.intervene import Gain
    >>> cache = RenderCache(tempfile.mkdtemp(), max_bytes=10**6)
    >>> cache.render(Gain(-20), torch.ones(2), 8000)
    tensor([0.1000, 0.1000])
    """

    def __init__(self, folder: str | Path, *, max_bytes: int = 1 << 31) -> None:
        self.folder = Path(folder)
        self.max_bytes = max_bytes
        if self.folder.exists() and not self.folder.is_dir():
            raise ParameterError(f"{folder} is a file, must be a folder for renderings")
        if not max_bytes > 0:
            raise ParameterError(f"max_bytes is {max_bytes}, must be > 0")
        self._takes_more = True
        self._opened = time.time_ns()
        self._room = 0  # bytes that may be written before sizes are summed again

    def render(
        self,
        intervention: Intervention,
        y: Tensor,
        sr: float,
        *,
        duration: float | None = None,
        seed: int = 0,
    ) -> Tensor:
        """Apply an intervention, or recall what came of it.

        Parameters
        ----------
        intervention : Intervention
            If it is off or acts on features, nothing is kept.
        y : Tensor [sample] or [channel, sample]
            As `Intervention.render` takes it.
        sr : float
            Samples a second.
        duration : float, optional
            Seconds of the result.
        seed : int
            Of this item.

        Returns
        -------
        Tensor
            What ``intervention.render`` returns.

        Raises
        ------
        ParameterError
            As ``intervention.render``.

        Examples
        --------
        >>> import tempfile
        >>> from otoscope.intervene import Tempo
        >>> cache = RenderCache(tempfile.mkdtemp())
        >>> cache.render(Tempo(0), torch.ones(2), 8000)
        tensor([1., 1.])
        """
        if not isinstance(intervention, SoundIntervention) or intervention.dose == 0:
            return intervention.render(y, sr, duration=duration, seed=seed)
        source = intervention.take(y, sr, duration=duration, seed=seed)
        path = self.folder / (_key(intervention, source) + _SUFFIX)
        rendering = self._recalled(path, source)
        if rendering is None:
            rendering = intervention.rendered(source)
            self._keep(path, rendering)
        return rendering.to(y, copy=True)

    def _recalled(self, path: Path, source: Source) -> Tensor | None:
        """The rendering, if there is a whole one."""
        try:
            content = path.read_bytes()
        except OSError:
            return None
        samples = content[_DIGEST:]
        if hashlib.sha256(samples).digest() != content[:_DIGEST]:
            return None
        with suppress(OSError):
            os.utime(path)  # it is now the one last used
        values = torch.from_numpy(np.frombuffer(bytearray(samples), source.y.numpy().dtype))
        return values.reshape(*source.y.shape[:-1], source.n_samples)

    def _keep(self, path: Path, rendering: Tensor) -> None:
        samples = rendering.contiguous().numpy().tobytes()
        size = _DIGEST + len(samples)
        if not self._takes_more or size > self.max_bytes:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if size > self._room:
                self._make_room(size)
            if size > self._room:
                self._takes_more = False
                return
            with replacing(path) as draft:
                draft.write_bytes(hashlib.sha256(samples).digest() + samples)
            self._room -= size
        except OSError as err:
            self._takes_more = False
            warnings.warn(
                f"{self.folder} cannot be written ({err.strerror or err}): renderings are not kept",
                RuntimeWarning,
                stacklevel=3,
            )

    def _make_room(self, size: int) -> None:
        """Remove those that were not used for longest, if there is no room for one more."""
        sizes = {}
        for path in self.folder.glob(f"*{_SUFFIX}"):
            try:
                status = path.stat()
            except FileNotFoundError:  # another process was faster
                continue
            sizes[path] = (status.st_mtime_ns, status.st_size)
        total = sum(length for _, length in sizes.values())
        if total + size > self.max_bytes:
            for path in sorted(sizes, key=lambda path: sizes[path]):
                is_needed = sizes[path][0] >= self._opened
                if is_needed or total <= 0.9 * self.max_bytes - size:
                    break
                path.unlink(missing_ok=True)
                total -= sizes[path][1]
        self._room = min(self.max_bytes - total, max(size, self.max_bytes // 16))


def _key(intervention: SoundIntervention, source: Source) -> str:
    made_of = {
        "settings": intervention.settings,
        "sr": source.sr,
        "shape": list(source.y.shape),
        "dtype": str(source.y.dtype),
        "n_samples": source.n_samples,
        "seed": source.seed if intervention.is_random else None,
        "versions": [_REVISION, *map(_version, _COMPUTING)],
    }
    digest = hashlib.sha256(to_json(made_of).encode())
    digest.update(source.y.contiguous().numpy().data)
    return digest.hexdigest()


@cache
def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
