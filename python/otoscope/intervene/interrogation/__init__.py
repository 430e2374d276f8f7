"""The interrogation: items, questions, findings and the verdict."""
