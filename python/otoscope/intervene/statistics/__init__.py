"""Statistics of answers: bootstrap over groups, significance tests, confound-only baseline."""
