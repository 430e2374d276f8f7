"""Fits to the outputs for all coalitions: surrogates, Shapley values, and what they rest on."""
