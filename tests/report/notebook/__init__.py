"""Tests of results in notebooks and papers."""
