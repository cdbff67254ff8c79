"""Standings in other people's formats (NIST SP 1500-100 version 2, CSV), and what waits for an authority (`desk.py`)."""
