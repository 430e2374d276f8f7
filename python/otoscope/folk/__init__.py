"""Folk music in ABC: notation, tokens, a network that generates tunes, and its evaluation."""
