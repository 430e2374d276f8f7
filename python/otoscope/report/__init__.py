"""Reports: results as pages to read and to hear, with all sentences, number formats and charts.

A report is one HTML file that needs no network. Times are seconds of the recording. Names are
imported when they are first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
