"""Tests of the models that are loaded by name."""
