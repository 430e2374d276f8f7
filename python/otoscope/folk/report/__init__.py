"""Pages and sheet music of folk tunes."""
