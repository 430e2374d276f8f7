"""Page and sentence of a distance between two sets of sounds."""
