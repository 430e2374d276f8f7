"""Experiments of paper E: music adversaries (Kereliuk, Sturm and Larsen 2015)."""

from otoscope.papers.e_adversary.adversary_zoo import AdversaryZoo, adversary_zoo

__all__ = [
    "AdversaryZoo",
    "adversary_zoo",
]
