"""Every setting of the service: environment variables with the prefix AFFIDAVIT_, each with a sentence."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from backend.secret_files import SecretFiles
from backend.settings.answers import AnswerSettings
from backend.settings.audit import AuditSettings
from backend.settings.cells import CellSettings
from backend.settings.database import DatabaseSettings
from backend.settings.documents import DocumentSettings
from backend.settings.identity import IdentitySettings
from backend.settings.keys import KeySettings
from backend.settings.retrieval import RetrievalSettings
from backend.settings.serving import ServingSettings
from backend.settings.sources import SourceSettings
from backend.settings.work import WorkSettings


class MissingSettingError(RuntimeError):
    """A secret or address that the process needs is not configured."""


def required(secret: SecretStr | None, name: str) -> str:
    """Returns the value of a setting; raises MissingSettingError when there is none."""
    if secret is None:
        message = f"AFFIDAVIT_{name} is not set; `affidavit demo` makes its own, a deployment must choose one"
        raise MissingSettingError(message)
    return secret.get_secret_value()


def payload_keys(settings: "Settings") -> tuple[str, ...]:
    """Returns the payload key that writes, and behind it those that only read; raises MissingSettingError."""
    others = (key.get_secret_value() for key in settings.payload_other_keys)
    return (required(settings.payload_key, "PAYLOAD_KEY"), *others)


def search_secrets(settings: "Settings") -> tuple[str, ...]:
    """Returns the secret by whose hashes texts are found, and behind it others that also hash; raises MissingSettingError."""
    others = (key.get_secret_value() for key in settings.search_other_keys)
    return (settings.search_key.get_secret_value() if settings.search_key else payload_keys(settings)[0], *others)


def pseudonym_secret(settings: "Settings") -> str:
    """Returns the secret by which equal values get equal pseudonyms; raises MissingSettingError."""
    return settings.pseudonym_key.get_secret_value() if settings.pseudonym_key else search_secrets(settings)[0]


class Settings(
    DatabaseSettings,
    KeySettings,
    IdentitySettings,
    AuditSettings,
    DocumentSettings,
    WorkSettings,
    SourceSettings,
    RetrievalSettings,
    AnswerSettings,
    ServingSettings,
    CellSettings,
    BaseSettings,
):
    """Configuration of one process; secrets have no defaults and come from the environment, or from files that it names."""

    model_config = SettingsConfigDict(env_prefix="AFFIDAVIT_", extra="ignore", frozen=True, hide_input_in_errors=True)

    home: Path = Field(
        default=Path("~/.local/share/affidavit"),
        description="Folder for the embedded database, the model cache and the demo's secrets.",
    )
    deletion_grace_days: int = Field(
        default=30, ge=1, le=365, description="Days for which a tenant that was deleted can be resumed."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Reads arguments, then the environment, then files."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, SecretFiles(settings_cls)

    @property
    def home_folder(self) -> Path:
        """The home folder as an absolute path."""
        return self.home.expanduser().resolve()
