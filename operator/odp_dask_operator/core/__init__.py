"""Decides what to do about a job. Pure: facts come in as arguments, nothing here reads a clock, an environment or an API."""
