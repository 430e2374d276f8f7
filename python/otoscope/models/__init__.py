"""Listening models: networks of otoscope, bundles, and a zoo of published models.

Excerpts are [batch, 1, frame, mel], standardised; outputs are [batch, output]. Names are imported
when they are first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
