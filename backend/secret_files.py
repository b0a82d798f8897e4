"""Settings out of files, as Docker, Kubernetes and Vault Agent leave secrets: environments show in process lists and dumps."""

import os
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

DIRECTORY = "AFFIDAVIT_SECRETS_DIRECTORY"
_PREFIX = "AFFIDAVIT_"


class SecretFileError(ValueError):
    """A setting is in two places, or its file is empty or cannot be read."""


def secret_in(path: Path) -> str:
    """Returns what a file says, without what editors leave: a mark of the encoding, and line ends behind it.

    Nobody sees these, and a key with them is another key. Raises OSError and UnicodeDecodeError.
    """
    return path.read_text(encoding="utf-8-sig").rstrip("\r\n")


class SecretFiles(PydanticBaseSettingsSource):
    """Reads `AFFIDAVIT_<NAME>_FILE`, and files called after settings in the directory AFFIDAVIT_SECRETS_DIRECTORY."""

    def __init__(self, settings: type[BaseSettings]) -> None:
        super().__init__(settings)
        directory = os.environ.get(DIRECTORY)
        self._directory = Path(directory) if directory else None
        if self._directory and not (self._directory.is_dir() and os.access(self._directory, os.X_OK)):
            message = f"{DIRECTORY}: {directory} is no directory that this process may look into"
            raise SecretFileError(message)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Returns what a file says of a setting, without line ends; None for no file.

        Raises SecretFileError when it is also set in the environment, or its file is empty or cannot be read.
        """
        variable = f"{_PREFIX}{field_name.upper()}"
        named = os.environ.get(f"{variable}_FILE")
        if named and variable in os.environ:
            message = f"{variable} and {variable}_FILE are both set"
            raise SecretFileError(message)
        path = Path(named) if named else self._directory and self._directory / field_name
        if path is None or not (named or os.path.lexists(path)):
            return None, field_name, False
        try:
            text = secret_in(path)
        except (OSError, UnicodeDecodeError) as error:
            message = f"{variable}: {path} cannot be read ({type(error).__name__})"
            raise SecretFileError(message) from None
        if not text.strip():  # as of a program that was stopped before it wrote
            message = f"{variable}: {path} is empty"
            raise SecretFileError(message)
        return text, field_name, self.field_is_complex(field)

    def __call__(self) -> dict[str, Any]:
        """Returns what is in files."""
        found = {}
        for name, field in self.settings_cls.model_fields.items():
            text, _, complicated = self.get_field_value(field, name)
            if text is not None:
                found[name] = self.prepare_field_value(name, field, text, complicated)
        return found
