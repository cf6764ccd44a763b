"""Assumes an AWS role: asks STS for temporary keys, signed with the keys of a Secret or with the process's own identity.

pyarrow can assume a role too, but only with the process's own identity, at AWS's own STS, and without saying why it was refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from odp_loader.errors import CredentialsRefused, InvalidLoad, LoadError, Transient

_LIFETIME_S = 3600
_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class TemporaryKeys:
    """Keys of an assumed role; shows none of them when printed."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: float
    """Seconds since the epoch."""


def assume_role(role_arn: str, *, region: str | None, keys: Mapping[str, str | None]) -> TemporaryKeys:
    """Ask STS (or the server in AWS_ENDPOINT_URL_STS) for keys of `role_arn`, good for an hour.

    `keys` has access_key, secret_key and session_token; empty for the process's own identity.
    Raises CredentialsRefused, InvalidLoad or Transient.
    """
    import botocore.session  # type: ignore[import-untyped] # takes a while, and only roles need it
    from botocore import exceptions
    from botocore.config import Config  # type: ignore[import-untyped]

    session = botocore.session.get_session()
    try:
        client = session.create_client(
            "sts",
            region_name=region or "us-east-1",
            aws_access_key_id=keys.get("access_key"),
            aws_secret_access_key=keys.get("secret_key"),
            aws_session_token=keys.get("session_token"),
            config=Config(
                connect_timeout=_TIMEOUT_S, read_timeout=_TIMEOUT_S, retries={"total_max_attempts": 3, "mode": "standard"}
            ),
        )
        answer = client.assume_role(RoleArn=role_arn, RoleSessionName="odp-loader", DurationSeconds=_LIFETIME_S)["Credentials"]
    except exceptions.ClientError as error:
        raise _refusal(role_arn, error.response) from None
    except exceptions.ParamValidationError:
        raise InvalidLoad(f"storage.roleARN: {role_arn!r} is no ARN: write arn:aws:iam::123456789012:role/name") from None
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        raise Transient(f"role {role_arn} cannot be assumed now: STS does not answer ({type(error).__name__})") from None
    except exceptions.BotoCoreError as error:
        raise CredentialsRefused(
            f"role {role_arn} cannot be assumed: this process has no AWS identity ({type(error).__name__});"
            " give it one, or name a Secret in storage.secretName"
        ) from None
    return TemporaryKeys(
        answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"], expires_at=answer["Expiration"].timestamp()
    )


def _refusal(role_arn: str, response: Mapping[str, Mapping[str, object]]) -> LoadError:
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = response.get("Error", {}).get("Code", "")
    if status == 429 or (isinstance(status, int) and status >= 500) or code in ("Throttling", "ThrottlingException"):
        return Transient(f"role {role_arn} cannot be assumed now: STS answered {status} {code}")
    return CredentialsRefused(
        f"role {role_arn} cannot be assumed: STS answered {status} {code};"
        " check storage.roleARN, the role's trust policy and the keys it is assumed with"
    )
