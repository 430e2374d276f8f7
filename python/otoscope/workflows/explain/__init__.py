"""Workflow of explain: excerpts of files, comparisons, records and tables."""
