"""Experiments of the five papers: frozen settings in, records and figures out."""
