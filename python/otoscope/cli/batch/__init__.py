"""Commands of `otoscope batch`: one workflow over a manifest of many files."""
