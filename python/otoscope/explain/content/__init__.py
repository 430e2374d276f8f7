"""Content: what stands in a patch where a segment is occluded.

The choice decides the explanation. Each content says in which domain it is drawn: ``values`` (the
model's standardised input), ``log_mel``, or ``mel`` (linear energies; silence is 0). The latter two
need the patch's ``domain`` (mean, std, compression) to become values.
"""

from otoscope.explain.content.base import Content, Space
from otoscope.explain.content.excerpts import (
    Excerpts,
    donor,
    mean_band_data,
    min_band_data,
    min_data,
)
from otoscope.explain.content.neighbours import blur, inpaint
from otoscope.explain.content.noise import fresh_noise, noise
from otoscope.explain.content.resolve import BY_NAME, resolve
from otoscope.explain.content.statistics import (
    constant,
    mean_band,
    mean_inp,
    min_band,
    min_inp,
    silence,
    zero,
)

__all__ = [
    "BY_NAME",
    "Content",
    "Excerpts",
    "Space",
    "blur",
    "constant",
    "donor",
    "fresh_noise",
    "inpaint",
    "mean_band",
    "mean_band_data",
    "mean_inp",
    "min_band",
    "min_band_data",
    "min_data",
    "min_inp",
    "noise",
    "resolve",
    "silence",
    "zero",
]
