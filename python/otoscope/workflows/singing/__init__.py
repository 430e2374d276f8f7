"""Workflows of singing-voice detectors."""
