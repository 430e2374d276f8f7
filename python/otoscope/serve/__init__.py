"""The local web pages: a server for one person's browser on the same machine."""
