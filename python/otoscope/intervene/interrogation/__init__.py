"""The interrogation: items, conditions, answers, their analysis and the verdict."""
