"""Look into machine-listening models: what they hear, what they rely on, what fools them."""
