"""otoscope distance, stats and corpus: sets of sounds."""
