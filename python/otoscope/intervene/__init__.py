"""Interventions on sound, and the interrogation of a model by them."""
