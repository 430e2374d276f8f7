"""Experiments of paper B: maximised activations, their priors, and the choice of a setting."""
