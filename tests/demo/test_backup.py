"""A restore drill: what a running demo held when it was backed up is served from another folder, and its log is whole."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.scratch import new_folder
from tests.serving import Started, affidavit, started

QUESTION = {"query": "When does the Zanzibar branch open?", "k": 20}


@pytest.fixture
def folder() -> Iterator[Path]:
    made = new_folder()
    yield made
    shutil.rmtree(made, ignore_errors=True)


def signed_in(demo: Started, home: Path, username: str) -> httpx.Client:
    tenant = json.loads((home / "demo-credentials.json").read_text())["tenants"][0]
    password = next(user["password"] for user in tenant["users"] if user["username"] == username)
    form = {"client_id": tenant["slug"], "username": username, "password": password}
    token = httpx.post(f"{demo.url}/auth/token", data=form).json()["access_token"]
    return httpx.Client(base_url=demo.url, headers={"Authorization": f"Bearer {token}"}, timeout=60)


def ingest(client: httpx.Client, doc_id: str, text: str) -> None:
    body = {"doc_id": doc_id, "chunk_text": text, "source_type": "notice"}
    assert client.post("/ingest", json=body).status_code == 201


def found(client: httpx.Client) -> set[str]:
    return {context["doc_id"] for context in client.post("/retrieve", json=QUESTION).json()["contexts"]}


def proof_of(client: httpx.Client, event: str) -> int:
    return client.get(f"/audit/events/{event}/proof").status_code


@pytest.mark.servers
def test_what_was_backed_up_is_served_again_and_proved(folder: Path, model_home: Path) -> None:
    home, other, archive = folder / "home", folder / "restored", folder / "backup.tar"
    home.mkdir()
    if (model_home / "models").exists():
        (home / "models").symlink_to(model_home / "models")
    settings = {"AFFIDAVIT_HOME": str(home)}
    with started("demo", settings=settings) as demo, signed_in(demo, home, "editor") as editor:
        ingest(editor, "kept", "The Zanzibar branch opens at nine.")
        event = editor.post("/retrieve", json=QUESTION).json()["audit_event_id"]
        done = affidavit("backup", str(archive), settings=settings)
        assert done.returncode == 0, done.stderr
        ingest(editor, "later", "The Zanzibar branch opens at ten on Mondays.")
        assert found(editor) >= {"kept", "later"}
    assert archive.stat().st_mode & 0o077 == 0
    assert affidavit("backup", str(archive), settings=settings).returncode == 1  # nothing is overwritten
    assert affidavit("restore", str(archive), settings=settings).returncode == 1

    restored = {"AFFIDAVIT_HOME": str(other)}
    done = affidavit("restore", str(archive), settings=restored)
    assert done.returncode == 0, done.stderr
    (other / "models").symlink_to((home / "models").resolve())
    with started("demo", settings=restored) as demo, signed_in(demo, other, "editor") as editor:
        assert "kept" in found(editor)
        assert "later" not in found(editor)
        with signed_in(demo, other, "compliance") as compliance:
            assert compliance.get(f"/audit/events/{event}").status_code == 200
            assert proof_of(compliance, event) == 200  # sealing goes on where it was: no checkpoint is ahead of the log
        doctor = affidavit("doctor", "--json", settings=restored)
        assert json.loads(doctor.stdout)["ok"], doctor.stdout


def test_what_is_no_backup_makes_no_folder(folder: Path) -> None:
    (folder / "nothing.tar").write_bytes(b"nothing")
    done = affidavit("restore", str(folder / "nothing.tar"), settings={"AFFIDAVIT_HOME": str(folder / "home")})
    assert done.returncode == 1
    assert "is no whole backup" in done.stderr.replace("\n", " ")
    assert not (folder / "home").exists()
    assert [path.name for path in folder.iterdir()] == ["nothing.tar"]
