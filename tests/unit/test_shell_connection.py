"""How the operator finds its API server, and what it says when nothing tells where that is."""

import subprocess
import sys
from pathlib import Path

import pytest

from odp_dask_operator.shell.connection import proxy_to

PROGRAM = "from odp_dask_operator.shell.main import main; main()"


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (None, "Invalid kube-config file. Expected key current-context in kube-config"),
        ("", "the kubeconfig cannot be understood"),
        ("users: [{user: {token: a-secret-token}", "the kubeconfig cannot be understood"),
    ],
)
def test_without_an_api_server_it_ends_with_a_sentence(tmp_path: Path, content: str | None, cause: str) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    if content is not None:
        kubeconfig.write_text(content)
    command = [sys.executable, "-c", PROGRAM, "--default-image=example.org/odp-loader:1"]
    ended = subprocess.run(command, env={"KUBECONFIG": str(kubeconfig)}, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 1
    sentence = ended.stderr.splitlines()[-1]
    assert sentence.startswith(f"Error: no API server is known ({cause}); ")
    assert "name in KUBECONFIG a file with a current context" in sentence
    assert "Traceback" not in ended.stderr
    assert "a-secret-token" not in ended.stderr


@pytest.mark.parametrize(
    ("host", "proxy"),
    [
        ("https://api.example.org:6443", "http://proxy.example.org:3128"),
        ("https://10.96.0.1:443", None),
        ("https://api.cluster.local", None),
        ("http://127.0.0.1:8001", None),
    ],
)
def test_the_way_to_the_api_server_is_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, host: str, proxy: str | None
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.org:3128")
    monkeypatch.setenv("NO_PROXY", "10.96.0.1,.cluster.local")
    assert proxy_to(host) == proxy
