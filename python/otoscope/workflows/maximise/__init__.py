"""Workflow of maximise: priors and their training, specimens, and the search."""
