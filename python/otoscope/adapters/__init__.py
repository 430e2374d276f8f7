"""Other libraries' conventions over otoscope's methods."""
