"""A server behind TLS with a certificate of a private authority: the command line, steps and clients reach it."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest
import tritonclient.grpc as over_grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.server import Corliss, free_port, temporary_home


def _certificate(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey,
                 authority: bool) -> bytes:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corliss]:
    """A server with TLS whose certificate only its own authority vouches for."""
    folder = tmp_path_factory.mktemp("tls")
    authority, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    (folder / "ca.pem").write_bytes(_certificate("test authority", "test authority", authority, authority, True))
    (folder / "cert.pem").write_bytes(_certificate("localhost", "test authority", own, authority, False))
    (folder / "key.pem").write_bytes(own.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    port = free_port()
    settings = {
        "CORLISS_SERVER_TLS_CERT": str(folder / "cert.pem"), "CORLISS_SERVER_TLS_KEY": str(folder / "key.pem"),
        "CORLISS_SERVER_TLS_CA": str(folder / "ca.pem"), "CORLISS_SERVER_URL": f"https://localhost:{port}",
    }
    with temporary_home() as home:
        corliss = Corliss(home, listen=f"127.0.0.1:{port}", settings=settings)
        try:
            corliss.up()
            yield corliss
            corliss.down()
        finally:
            corliss.kill_everything()


def test_the_command_line_trusts_the_authority_that_the_server_names(secure: Corliss) -> None:
    assert "version" in json.loads(secure.cli("status", "--json"))
    variables = secure.variables()
    assert variables["CORLISS_URL"] == secure.environment["CORLISS_SERVER_URL"]
    del variables["CORLISS_CA"], variables["MLFLOW_TRACKING_SERVER_CERT_PATH"]
    done = subprocess.run([secure.binary, "status"], env=secure.environment | variables, capture_output=True, text=True)
    assert done.returncode == 3, done
    assert "UnknownIssuer" in done.stderr and "CORLISS_CA" in done.stderr, done.stderr


def test_who_speaks_plain_http_gets_nothing(secure: Corliss) -> None:
    host, port = secure.listen.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert not plain.recv(1024).startswith(b"HTTP/")


def test_grpc_is_spoken_over_tls_and_who_speaks_both_stays_with_http_1(secure: Corliss) -> None:
    authority = secure.environment["CORLISS_SERVER_TLS_CA"]
    port = int(secure.listen.split(":")[1])
    client = over_grpc.InferenceServerClient(f"localhost:{port}", ssl=True, root_certificates=authority)
    assert client.is_server_live()
    assert client.get_server_metadata(headers={"authorization": f"Bearer {secure.token}"}).name == "corliss"
    client.close()
    context = ssl.create_default_context(cafile=authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as wrapped:
            assert wrapped.selected_alpn_protocol() == "http/1.1"


def test_a_step_reaches_its_tracking_run(secure: Corliss, tmp_path: Path) -> None:
    (tmp_path / "step.py").write_text("import mlflow\nwith mlflow.start_run():\n    mlflow.log_metric('accuracy', 0.5)\n")
    (tmp_path / "corliss.yaml").write_text("project: secure\nsteps:\n  log:\n    run: python step.py\n")
    shell = secure.environment | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run([secure.binary, "run", "--json"], env=shell, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done
    environment = secure.client_environment()
    ask = """
from mlflow import MlflowClient
client = MlflowClient()
experiments = [found.experiment_id for found in client.search_experiments()]
print([run.data.metrics["accuracy"] for run in client.search_runs(experiments)])
"""
    found = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True)
    assert found.stdout.strip() == "[0.5]", found
