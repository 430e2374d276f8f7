"""The end of a report: a paragraph for the section on methods of a paper, and its BibTeX."""
