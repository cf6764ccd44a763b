"""The way to the Ocean Data Platform: the official SDK, made fit for long unattended reads."""
