"""Paper A: SoundLIME, and the singing-voice detector that it explains."""
