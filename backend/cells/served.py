"""Which cells a process of several serves, and with which settings: what is a cell's own comes out of its file alone."""

import tomllib
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from backend.settings import MissingSettingError, Settings
from backend.settings.cells import CellSettings
from backend.settings.database import DatabaseSettings
from backend.settings.keys import KeySettings

EVERY = "*"
# What no process of several cells hands down to them: a key or an address that a file lacks is missing, and not another cell's.
_OWN = (DatabaseSettings, KeySettings, CellSettings)
_OWN_PLACES = ("storage_", "archive_", "checkpoint_")
# Of those, what is the deployment's, or the process's.
_HANDED_DOWN = {
    "search_key", "search_other_keys", "pseudonym_key", "database_pool_size", "database_timeout",
    "accept_conditions_before_policies", "data_key_seconds",
    "checkpoint_key_name", "checkpoint_retention_days", "cell_redirect", "cell_pass_on",
    "directory_url", "directory_file", "directory_public_key", "directory_seconds",
}  # fmt: skip


class CellSettingsFile(Settings):
    """The settings of one cell, as they are given: nothing of the environment is mixed in."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Reads arguments only."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


def is_of_a_cell(setting: str) -> bool:
    """Tells whether a setting is each cell's own, and never taken from the process that serves it."""
    own = any(setting in group.model_fields for group in _OWN) or setting.startswith(_OWN_PLACES)
    return own and setting not in _HANDED_DOWN


def served_cells(settings: Settings) -> dict[str, Settings]:
    """Returns the settings of each cell that this process serves, in order; raises MissingSettingError."""
    folder = settings.cells_folder
    assert folder is not None
    names = list(settings.served_cells)
    if EVERY in names:
        names = sorted(file.stem for file in folder.glob("*.toml"))
    handed_down = {
        name: getattr(settings, name) for name in settings.model_fields_set if not is_of_a_cell(name)
    }  # fmt: skip
    found = {name: _read(folder / f"{name}.toml", name, handed_down) for name in dict.fromkeys(names)}
    if not found:
        raise MissingSettingError(f"{folder} holds the settings of no cell")
    return found


def _read(path: Path, name: str, handed_down: dict[str, object]) -> Settings:
    try:
        own = tomllib.loads(path.read_text(encoding="utf-8"))
        return CellSettingsFile(**{**handed_down, **own, "cell": name})
    except OSError:
        raise MissingSettingError(f"there are no settings of the cell {name}: {path}") from None
    except (tomllib.TOMLDecodeError, ValidationError):
        raise MissingSettingError(f"{path} does not hold settings") from None
