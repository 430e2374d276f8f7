"""Written music: ABC, tokens, tunes and an index of interval n-grams."""
