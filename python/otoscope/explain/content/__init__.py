"""Contents: the values that replace a segment where it is occluded.

The content decides the explanation. Each content has a domain in which it is drawn: ``values`` (the
model's standardised input), ``log_mel``, or ``mel`` (linear energies; silence is 0). The last two
need the patch's ``domain`` (mean, std, compression) to become values.
"""

from otoscope.explain.content.base import (
    CONTENTS,
    DEFAULT_CONTENT,
    Content,
    Space,
    register,
    resolve,
)
from otoscope.explain.content.excerpts import (
    Excerpts,
    donor,
    mean_band_data,
    min_band_data,
    min_data,
)
from otoscope.explain.content.neighbours import blur, inpaint
from otoscope.explain.content.noise import fresh_noise, noise
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
    "CONTENTS",
    "DEFAULT_CONTENT",
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
    "register",
    "resolve",
    "silence",
    "zero",
]
