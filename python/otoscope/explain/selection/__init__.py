"""Choice of the content: mixes of stems whose sung segments are known, and contents that judge."""

from otoscope.explain.selection.choice import ContentChoice, choose_content
from otoscope.explain.selection.mixes import StemMix, draw_mixes, replace_segments
from otoscope.explain.selection.ranking import ContentRank, ContentRanking

__all__ = [
    "ContentChoice",
    "ContentRank",
    "ContentRanking",
    "StemMix",
    "choose_content",
    "draw_mixes",
    "replace_segments",
]
