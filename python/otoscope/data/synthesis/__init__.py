"""Synthesis of songs and drums with known ground truth."""
