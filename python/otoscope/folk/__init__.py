"""Folk tunes (paper D), from ABC notation to networks that write tunes.

Floors, from below: ``abc`` (notation), ``interchange`` (MusicXML, MIDI), ``tokens``, ``model``
(folk-rnn), ``data`` (sources and splits), ``metrics`` (conventions), ``train``, ``report`` (pages,
sheet music, sound), ``workflows`` (commands). Names are imported when they are first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
