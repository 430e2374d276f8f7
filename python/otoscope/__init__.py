"""Look into machine-listening models: what they hear, what they rely on, what fools them.

The public names stand in ``__init__.pyi``. Packages are imported when they are first used:
``import otoscope`` alone does not load torch.
"""

from importlib import metadata

import lazy_loader

__getattr__, _list_names, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __dir__() -> list[str]:
    return sorted({*globals(), *_list_names()})


try:
    __version__ = metadata.version(__name__)
except metadata.PackageNotFoundError:  # run from the source tree
    __version__ = "0+unknown"

del metadata, lazy_loader
