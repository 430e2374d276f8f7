"""Mel front ends, mel filterbanks, and domains of patch values."""
