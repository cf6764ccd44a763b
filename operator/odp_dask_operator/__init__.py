"""The operator and the user's command line."""
