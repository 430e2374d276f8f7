"""Interventions on sounds and on features, one theme a file."""
