"""The local web pages."""
