"""Standings in other people's formats: NIST SP 1500-100 version 2, and CSV."""
