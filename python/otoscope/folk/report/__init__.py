"""Pages, sheet music and sound of folk tunes."""
