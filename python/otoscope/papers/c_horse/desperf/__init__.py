"""Experiments with DeSPerF: interrogation, dissection, predictions, repair."""
