"""Public names of otoscope: the table that lazy_loader reads at run time."""

from . import (
    adapters as adapters,
    attack as attack,
    data as data,
    errors as errors,
    explain as explain,
    folk as folk,
    intervene as intervene,
    metrics as metrics,
    models as models,
    native as native,
    ops as ops,
    papers as papers,
    protocols as protocols,
    records as records,
    report as report,
    signal as signal,
    taps as taps,
    train as train,
    workflows as workflows,
)
from .attack import (
    AttackResult as AttackResult,
    Goal as Goal,
    MagnitudeAdversary as MagnitudeAdversary,
    WaveformPGD as WaveformPGD,
)
from .attack.strong import (
    APGD as APGD,
    LeastNorm as LeastNorm,
    Square as Square,
)
from .errors import (
    CudaUnavailable as CudaUnavailable,
    MissingExtra as MissingExtra,
    ParameterError as ParameterError,
)
from .explain import (
    ActivationMaximiser as ActivationMaximiser,
    ContentChoice as ContentChoice,
    Explanation as Explanation,
    SoundLIME as SoundLIME,
    choose_content as choose_content,
    components as components,
    content as content,
    segments as segments,
)
from .intervene import (
    BitDepth as BitDepth,
    CodecRoundTrip as CodecRoundTrip,
    Crop as Crop,
    Equaliser as Equaliser,
    FeatureDilation as FeatureDilation,
    Gain as Gain,
    HighPass as HighPass,
    Interrogation as Interrogation,
    InterrogationSettings as InterrogationSettings,
    LeadingSilence as LeadingSilence,
    LowPass as LowPass,
    Pitch as Pitch,
    Polarity as Polarity,
    Resample as Resample,
    Reverb as Reverb,
    Tempo as Tempo,
    WhiteNoise as WhiteNoise,
)
from .metrics import (
    FrechetDistance as FrechetDistance,
)
from .models import (
    zoo as zoo,
)
from .ops import (
    occlude as occlude,
)
from .protocols import (
    ListeningModel as ListeningModel,
    Patch as Patch,
    SoundClassifier as SoundClassifier,
)
from .taps import (
    Tap as Tap,
)

__version__: str
__all__: list[str]
