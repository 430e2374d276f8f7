"""Interventions on sounds and on features, one theme per file."""
