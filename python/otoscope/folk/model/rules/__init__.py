"""Rules that sampled tunes keep, as masks of tokens: measures that add up, and forms."""
