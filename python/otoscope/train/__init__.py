"""Training: the only room with an optimiser over weights."""
