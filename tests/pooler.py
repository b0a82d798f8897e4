"""PgBouncer of Debian's package in front of the test server, as hosting providers put it in front of theirs."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.serving import eventually, free_port

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")


@contextmanager
def pooled(*urls: str, mode: str, certificate: bool = False) -> Iterator[tuple[list[str], Path]]:
    """Gives the addresses through a pooler in place of these of one server, and the folder with its certificate."""
    assert PROGRAM is not None
    folder = Path(tempfile.mkdtemp(prefix="affidavit-test-pooler-"))
    folder.chmod(0o755)
    port = free_port()
    users = dict(url.partition("://")[2].partition("@")[0].split(":") for url in urls)
    server_port = urls[0].partition("@")[2].partition("/")[0].partition(":")[2]
    (folder / "users.txt").write_text("".join(f'"{user}" "{password}"\n' for user, password in users.items()))
    if certificate:
        certify(folder)
    tls = f"client_tls_sslmode = require\nclient_tls_key_file = {folder}/key.pem\nclient_tls_cert_file = {folder}/cert.pem\n"
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
        f"unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {folder}/users.txt\npool_mode = {mode}\n"
        f"default_pool_size = {3 if mode == 'transaction' else 20}\nserver_reset_query = discard all\n{tls if certificate else ''}"
    )
    log = folder / "log"
    # It does not run as root; who may read the passwords is of no concern in a test.
    account = pwd.getpwnam("nobody").pw_name if os.geteuid() == 0 else None
    with log.open("w") as output:
        process = subprocess.Popen([PROGRAM, folder / "pgbouncer.ini"], stdout=output, stderr=output, user=account)
    try:
        eventually(lambda: "process up" in log.read_text() or process.poll() is not None, 60, log.read_text)
        assert process.poll() is None, log.read_text()
        (folder / "pid").write_text(str(process.pid))
        yield [url.replace(f"127.0.0.1:{server_port}", f"127.0.0.1:{port}") for url in urls], folder
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def reload(folder: Path) -> None:
    """Has the pooler read its files again; connections that it makes from now on are of these."""
    log = folder / "log"
    before = log.read_text()
    os.kill(int((folder / "pid").read_text()), signal.SIGHUP)
    eventually(
        lambda: "RELOAD" in log.read_text()[len(before) :] or "SIGHUP" in log.read_text()[len(before) :],
        30,
        log.read_text,
    )


def certify(folder: Path, ends: timedelta = timedelta(days=1)) -> None:
    """Writes a key and a certificate of 127.0.0.1 that vouches for itself, valid until so long from now."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pooler")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
