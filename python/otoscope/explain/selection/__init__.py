"""Choice of the content: mixes of stems whose sung segments are known, and contents that judge."""

from otoscope.explain.selection.mixes import StemMix, draw_mixes, replace_segments

__all__ = ["StemMix", "draw_mixes", "replace_segments"]
