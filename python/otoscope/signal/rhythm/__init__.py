"""Rhythm features."""
