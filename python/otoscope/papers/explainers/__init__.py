"""Benchmark of explainers, on sounds and models whose truth is known."""
