"""Features of rhythm."""
