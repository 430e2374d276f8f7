"""Mel front ends, filterbanks, and what the numbers of a patch mean."""
