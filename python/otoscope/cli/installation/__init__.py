"""otoscope doctor, models, bench and demo: what works on this machine, and how fast."""
