"""Adversaries that end as valid sound."""
