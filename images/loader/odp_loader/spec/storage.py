"""How an object store is reached."""

from pydantic import Field

from odp_loader.spec.model import Model


class Storage(Model):
    """How to reach an object store. Without it the process's own identity and the usual environment decide."""

    endpoint: str | None = Field(default=None, max_length=2048)
    """URL of an S3-compatible server, such as `https://minio.example:9000`. Default: the provider's own."""
    region: str | None = Field(default=None, max_length=64)
    """Region of the bucket."""
    role_arn: str | None = Field(default=None, max_length=2048, alias="roleARN")
    """AWS role to assume; its temporary credentials are renewed before they expire."""
    secret_name: str | None = Field(default=None, max_length=253)
    """Secret with the provider's usual keys (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, ...).
    It is mounted as files and read again whenever a connection is made, so rotated credentials go on working."""
