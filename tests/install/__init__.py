"""What a newcomer and an operator install, from a fresh copy of the repository, outside of it."""
