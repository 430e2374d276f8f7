"""Adversarial Robustness Toolbox: our attacks as its evasion attacks."""

from otoscope.adapters.art.evasion import evasion_attack

__all__ = ["evasion_attack"]
