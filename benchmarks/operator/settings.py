"""How large the benchmarks of the operator are."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of a run."""

    jobs: int
    """That are there at once."""
    rounds: int
    """Of the bursts, whose time is their result."""
    same_pods: bool = False
    """Whether a DaskJob with the pods of our jobs takes part in the bursts."""
    bare: bool = False
    """Whether a client that only creates children does."""
