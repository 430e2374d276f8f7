"""One module an experiment of a paper: frozen settings in, records and figures out."""
