"""otoscope evaluate: commands of singing detectors."""
