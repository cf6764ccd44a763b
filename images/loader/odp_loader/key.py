"""The key for the Ocean Data Platform: it lives in the environment and nowhere else."""

import os

KEY_VARIABLE = "ODP_API_KEY"
"""Where the SDK looks for it, too."""


def without_key(words: str) -> str:
    """Somebody else's words, fit to be shown: the key is blotted out."""
    key = os.environ.get(KEY_VARIABLE)
    return words.replace(key, "***") if key else words
