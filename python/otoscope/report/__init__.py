"""Records in, pages and figures out; imports no model."""
