"""Filters, reverberation, noise and time stretching."""
