"""What sends reports: today a whole recorded or saved night (`night.py`)."""
