"""otoscope doctor, models and bench: what works on this machine, and how fast."""
