"""Tells Kopf that nothing of an object need be compared or kept: it would copy each, several times, for its handlers."""

from collections.abc import Iterable
from typing import Any

import kopf

_NOTHING = kopf.BodyEssence()


class NoDiffs(kopf.DiffBaseStorage):
    """No state that was handled last."""

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> kopf.BodyEssence:  # noqa: ARG002 # Kopf's names
        """Nothing that could differ."""
        return _NOTHING

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:  # noqa: ARG002
        """Nothing was handled."""
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing is written."""


class NoProgress(kopf.ProgressStorage):
    """No handler that goes on later."""

    def fetch(self, *, key: str, body: kopf.Body) -> None:
        """No handler has begun."""

    def store(self, *, key: str, record: object, body: kopf.Body, patch: kopf.Patch) -> None:
        """Nothing is written."""

    def purge(self, *, key: str, body: kopf.Body, patch: kopf.Patch) -> None:
        """Nothing is there."""

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        """Nothing is written."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """Nothing is in it."""
        return essence
