"""Tests of the training of rhythms."""
