"""What is computed, by its formula: slow, plain, and without a call of otoscope's operators."""
