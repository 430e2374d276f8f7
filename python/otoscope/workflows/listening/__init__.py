"""Listening tests: a blinded page of sounds, and the analysis of what listeners answered."""
