"""Audio files and lossy codecs."""
