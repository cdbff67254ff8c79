"""Checking without a broker: anyone with the definition and the log gets the same bytes."""
