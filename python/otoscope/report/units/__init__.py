"""The page of all units of a layer."""
