from .adversary import save_adversary
from .charts import OutputCurve
from .comparison import agreement, agreement_numbers, overall_agreement, save_comparison
from .decisive import sets_in_common
from .explanation import save_html
from .index import (
    AdversaryRow,
    IndexRow,
    adversaries_sentence,
    save_adversary_index,
    save_index,
)
from .interrogation.page import save_interrogation
from .interrogation.verdict import VerdictText, interrogation_record, verdict_text
from .maximisation import save_maximisation
from .song import SongMap, save_song, song_map
from .summary import save_summary

__all__ = [
    "AdversaryRow",
    "IndexRow",
    "OutputCurve",
    "SongMap",
    "VerdictText",
    "adversaries_sentence",
    "agreement",
    "agreement_numbers",
    "interrogation_record",
    "overall_agreement",
    "save_adversary",
    "save_adversary_index",
    "save_comparison",
    "save_html",
    "save_index",
    "save_interrogation",
    "save_maximisation",
    "save_song",
    "save_summary",
    "sets_in_common",
    "song_map",
    "verdict_text",
]
