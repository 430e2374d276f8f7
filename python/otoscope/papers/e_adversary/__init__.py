"""Experiments of paper E: music adversaries (Kereliuk, Sturm and Larsen 2015)."""
