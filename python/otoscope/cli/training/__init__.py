"""otoscope train: detectors of singing, and classifiers of genres."""
