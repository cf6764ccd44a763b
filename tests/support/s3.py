"""A real S3 server in its own process (versitygw), with users, roles, and temporary credentials that really end."""

import http.client
import http.server
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.session
import pyarrow.fs as pafs

from odp_loader.spec import Storage
from tests.support.go_tools import built
from tests.support.processes import free_port, listens, running

BUILD = ("go", "build", "-C", "tools/versitygw", "-o", "../../.cache/bin/", "github.com/versity/versitygw/cmd/versitygw")
_ALLOW_ALL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
_ROLE = "loader"
_SESSION_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def versitygw() -> Path:
    """The server's program, built once (about a minute) when Go is there; skips the test otherwise."""
    return built("versitygw", BUILD)


@dataclass(frozen=True)
class S3Server:
    """A running server with one bucket."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    iam_endpoint: str
    folder: Path

    def url(self, name: str = "") -> str:
        """A new, empty place in the bucket."""
        return f"s3://{self.bucket}/{name or uuid.uuid4().hex}"

    def secret_folder(self, root: Path, name: str = "s3", **keys: str) -> Path:
        """Write a Secret below `root`, as the kubelet would mount it; with the server's own keys unless others are given."""
        keys = keys or {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        folder = root / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for key, value in keys.items():
            (folder / key).write_text(f"{value}\n")
        return folder

    def storage(self, secret: str = "s3", **options: str) -> Storage:
        """How a load reaches this server with the keys of a Secret."""
        return Storage(**{"endpoint": self.endpoint, "region": "us-east-1", "secret_name": secret} | options)

    def filesystem(self) -> pafs.S3FileSystem:
        """A way to look into the bucket that does not go through the code under test."""
        return pafs.S3FileSystem(
            access_key=self.access_key,
            secret_key=self.secret_key,
            region="us-east-1",
            endpoint_override=self.endpoint,
            allow_bucket_creation=True,
        )

    def iam(self) -> Any:
        """The server's IAM API."""
        return botocore.session.get_session().create_client(
            "iam",
            endpoint_url=self.iam_endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )

    def new_keys(self, user: str) -> dict[str, str]:
        """Another key of `user`, who may do everything, as a Secret holds it."""
        iam = self.iam()
        if user not in {each["UserName"] for each in iam.list_users()["Users"]}:
            iam.create_user(UserName=user)
            iam.put_user_policy(UserName=user, PolicyName="all", PolicyDocument=_ALLOW_ALL)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def withdraw(self, user: str, keys: dict[str, str]) -> None:
        """The key stops working."""
        self.iam().delete_access_key(UserName=user, AccessKeyId=keys["AWS_ACCESS_KEY_ID"])

    def role(self) -> dict[str, Any]:
        """The role that temporary keys stand for; made when it is not there."""
        iam = self.iam()
        roles = {role["RoleName"]: role for role in iam.list_roles()["Roles"]}
        if _ROLE not in roles:
            federated = {"Federated": "arn:aws:iam::000000000000:oidc-provider/none"}
            statement = [{"Effect": "Allow", "Principal": federated, "Action": "sts:AssumeRoleWithWebIdentity"}]
            trust = json.dumps({"Version": "2012-10-17", "Statement": statement})
            roles[_ROLE] = iam.create_role(RoleName=_ROLE, AssumeRolePolicyDocument=trust)["Role"]
            iam.put_role_policy(RoleName=_ROLE, PolicyName="all", PolicyDocument=_ALLOW_ALL)
        return dict(roles[_ROLE])

    def begin_session(self, keys: dict[str, str], *, seconds: float) -> None:
        """Accept temporary keys for so long, as if this server's own STS had issued them (it issues none for AssumeRole)."""
        role, now = self.role(), datetime.now(UTC)
        file = self.folder / "iam" / "iam.json"
        state = json.loads(file.read_text())
        state["sessions"][keys["AWS_ACCESS_KEY_ID"]] = {
            "accessKeyId": keys["AWS_ACCESS_KEY_ID"],
            "secretAccessKey": keys["AWS_SECRET_ACCESS_KEY"],
            "sessionToken": keys["AWS_SESSION_TOKEN"],
            "roleArn": role["Arn"],
            "roleName": _ROLE,
            "roleId": role["RoleId"],
            "roleSessionName": "test",
            "createDate": now.isoformat(),
            "expiration": (now + timedelta(seconds=seconds)).isoformat(),
        }
        temporary = file.with_suffix(".test")
        temporary.write_text(json.dumps(state))
        temporary.replace(file)

    def session(self, access_key: str) -> dict[str, str]:
        """Temporary keys that this server knows, as a Secret holds them."""
        found = json.loads((self.folder / "iam" / "iam.json").read_text())["sessions"][access_key]
        values = (access_key, found["secretAccessKey"], found["sessionToken"])
        return dict(zip(_SESSION_KEYS, values, strict=True))


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """A server that keeps everything below `folder`."""
    binary = versitygw()
    access_key, secret_key = f"AKIA{uuid.uuid4().hex[:16].upper()}", uuid.uuid4().hex
    for name in ("data", "iam"):
        (folder / name).mkdir(parents=True)
    gateway, iam = free_port(), free_port()
    environment = os.environ | {"ROOT_ACCESS_KEY": access_key, "ROOT_SECRET_KEY": secret_key}
    with ExitStack() as stack:
        socket_path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="s3-"))) / "iam.sock"  # short: 108 bytes at most
        for port, log, arguments in (
            (iam, "iam.log", ["iam", "--dir", folder / "iam", "--private-ports", socket_path]),
            (gateway, "gateway.log", ["--iam-standalone-endpoint", socket_path, "--iam-cache-disable", "posix", folder / "data"]),
        ):
            command = [binary, "--port", f"127.0.0.1:{port}", *arguments]
            process = stack.enter_context(running(command, folder / log, environment=environment))
            process.await_(lambda port=port: listens(port))
            process.await_(socket_path.exists)
        server = S3Server(f"http://127.0.0.1:{gateway}", access_key, secret_key, "odp-test", f"http://127.0.0.1:{iam}", folder)
        server.filesystem().create_dir(server.bucket)
        yield server


@contextmanager
def sts(server: S3Server, folder: Path, *, seconds: float = 3600) -> Iterator[tuple[str, list[str]]]:
    """An STS in front of `server`: moto answers, and the keys it issues work at the server for `seconds`.

    Yields its endpoint, and the list of the access keys it has issued so far.
    """
    port = free_port()
    issued: list[str] = []

    class Front(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            moto = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            moto.request("POST", self.path, body, dict(self.headers))
            answer = moto.getresponse()
            content = answer.read()
            fields = dict(re.findall(r"<(AccessKeyId|SecretAccessKey|SessionToken)>([^<]*)<", content.decode()))
            if len(fields) == 3:
                values = (fields["AccessKeyId"], fields["SecretAccessKey"], fields["SessionToken"])
                server.begin_session(dict(zip(_SESSION_KEYS, values, strict=True)), seconds=seconds)
                issued.append(fields["AccessKeyId"])
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ExitStack() as stack:
        command = [Path(sys.executable).parent / "moto_server", "--host", "127.0.0.1", "--port", str(port)]
        process = stack.enter_context(running(command, folder / "moto.log"))
        process.await_(lambda: listens(port))
        front = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front)
        stack.callback(front.server_close)
        stack.callback(front.shutdown)
        threading.Thread(target=front.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{front.server_port}", issued
