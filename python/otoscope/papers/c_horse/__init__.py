"""Experiments of paper C: the "Horse" inside (Sturm 2016)."""
