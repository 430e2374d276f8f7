"""Cache of renderings on disk, addressed by content.

The name of a file is the hash of the samples, their rate, the settings of the intervention and the
versions of the libraries that compute the rendering; the file begins with a hash of its remainder.
A damaged file is therefore detected and rendered again, and no file is ever out of date.
"""

from __future__ import annotations

import hashlib
import math
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
from otoscope.intervene.base import Intervention, RenderInput
from otoscope.intervene.sound import SoundIntervention
from otoscope.records import replacing, to_json

__all__ = ["RenderCache"]

_COMPUTING = ("otoscope", "torch", "scipy", "soxr", "soundfile", "python-stretch")
_REVISION = 3  # of the renderings: increase it when one of them changes
_DIGEST = 32  # bytes
_SUFFIX = ".samples"


class RenderCache:
    """Render interventions through a folder that keeps the results.

    Parameters
    ----------
    folder : str or Path
        Folder, made when needed. The cache removes only files that end in ``.samples``.
    max_bytes : int
        Maximum size of all renderings, > 0. Beyond it the least recently used ones are removed,
        down to nine tenths, but none that was used since this cache was opened: if only those are
        left, no more are kept. A repeated run therefore finds as many renderings as fit. Several
        processes may share a folder; each may exceed the size by a sixteenth.

    Raises
    ------
    ParameterError
        If ``folder`` is a file, or ``max_bytes`` is not positive.

    Notes
    -----
    A folder that cannot be written, or a full disk, stops nothing: the first failure gives a
    RuntimeWarning, and from then on renderings are not kept. Samples are kept as they are, four or
    eight bytes each: a rendering from the cache equals the computed one bit by bit.

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
        self._accepts = True
        self._opened = time.time_ns()
        self._free = 0  # bytes that may be written before the sizes are added up again

    def render(
        self,
        intervention: Intervention,
        y: Tensor,
        sr: float,
        *,
        duration: float | None = None,
        seed: int = 0,
    ) -> Tensor:
        """Return ``intervention.render(...)``, from the folder if it is there.

        Interventions that are off or act on features are not kept.
        """
        if not isinstance(intervention, SoundIntervention) or intervention.dose == 0:
            return intervention.render(y, sr, duration=duration, seed=seed)
        source = intervention.prepare(y, sr, duration=duration, seed=seed)
        path = self.folder / (_key(intervention, source) + _SUFFIX)
        rendering = _read(path, source)
        if rendering is None:
            rendering = intervention.apply(source)
            self._write(path, rendering)
        return rendering.to(y, copy=True)

    def _write(self, path: Path, rendering: Tensor) -> None:
        samples = rendering.contiguous().numpy().tobytes()
        size = _DIGEST + len(samples)
        if not self._accepts or size > self.max_bytes:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if size > self._free:
                self._make_space(size)
            if size > self._free:
                self._accepts = False
                return
            with replacing(path) as draft:
                draft.write_bytes(hashlib.sha256(samples).digest() + samples)
            self._free -= size
        except OSError as err:
            self._accepts = False
            warnings.warn(
                f"{self.folder} cannot be written ({err.strerror or err}): renderings are not kept",
                RuntimeWarning,
                stacklevel=3,
            )

    def _make_space(self, size: int) -> None:
        """Remove the least recently used renderings if one more does not fit."""
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
        self._free = min(self.max_bytes - total, max(size, self.max_bytes // 16))


def _read(path: Path, source: RenderInput) -> Tensor | None:
    """Read a rendering; None if there is no undamaged one."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    samples = content[_DIGEST:]
    dtype = source.y.numpy().dtype
    n_bytes = math.prod(source.y.shape[:-1]) * source.n_samples * dtype.itemsize
    if len(samples) != n_bytes or hashlib.sha256(samples).digest() != content[:_DIGEST]:
        return None
    with suppress(OSError):
        os.utime(path)  # it is now the most recently used
    values = torch.from_numpy(np.frombuffer(bytearray(samples), dtype))
    return values.reshape(*source.y.shape[:-1], source.n_samples)


def _key(intervention: SoundIntervention, source: RenderInput) -> str:
    ingredients = {
        "settings": intervention.settings,
        "sr": source.sr,
        "shape": list(source.y.shape),
        "dtype": str(source.y.dtype),
        "n_samples": source.n_samples,
        "seed": source.seed if intervention.is_random else None,
        "versions": [_REVISION, *map(_version, _COMPUTING)],
    }
    digest = hashlib.sha256(to_json(ingredients).encode())
    digest.update(source.y.contiguous().numpy().data)
    return digest.hexdigest()


@cache
def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
