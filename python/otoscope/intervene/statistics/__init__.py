"""Tests and intervals for answers over groups of items."""
