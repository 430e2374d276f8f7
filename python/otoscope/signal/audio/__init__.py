"""Sound files: reading, writing, streaming and lossy codecs."""
