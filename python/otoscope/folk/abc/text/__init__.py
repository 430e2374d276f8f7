"""ABC as text: books of tunes read and written, their lines, music code and spelling."""
