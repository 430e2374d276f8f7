"""Synthesis of songs whose truth is known."""
