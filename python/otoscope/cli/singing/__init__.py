"""otoscope train singing, otoscope evaluate: commands of singing detectors."""
