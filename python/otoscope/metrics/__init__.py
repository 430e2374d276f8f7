"""Measures of what models and explanations are worth."""
