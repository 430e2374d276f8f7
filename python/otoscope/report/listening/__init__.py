"""The page of a listening test."""
