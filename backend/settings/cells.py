"""Settings: cells: which one a process belongs to, and how it knows where tenants are at home."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, SecretStr, model_validator

from backend.settings.database import DatabaseUrl

CELL_NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"


class CellSettings(BaseModel):
    """Cells: none of these is set where all tenants are in one database."""

    cell: str | None = Field(
        default=None, pattern=CELL_NAME,
        description="The cell that this process belongs to; it answers for tenants that are at home there, and for no others.",
    )  # fmt: skip
    directory_url: DatabaseUrl | None = Field(
        default=None,
        description="Connection URL of the control database, which holds the directory of cells and tenants.",
    )
    directory_file: Path | None = Field(
        default=None,
        description="Where the last signed copy of the directory is kept, for when the control database is away.",
    )
    directory_public_key: str | None = Field(
        default=None, description="The verifier-key line of the key that signs the directory."
    )
    directory_key: SecretStr | None = Field(
        default=None,
        description="PEM of the Ed25519 private key that signs the directory; only the operator's commands need it.",
    )
    directory_key_name: str = Field(
        default="affidavit", pattern=r"^[^\s+]+$", description="Name of that key, usually the service's domain."
    )
    directory_seconds: float = Field(
        default=5.0, gt=0, le=3600, description="How often the directory is asked for when nothing is told of a change."
    )
    cell_redirect: bool = Field(
        default=False,
        description="Sends clients of other cells' tenants on with 307, in place of telling them where with 421.",
    )
    served_cells: list[Annotated[str, Field(pattern=rf"{CELL_NAME}|^\*$")]] = Field(
        default=[],
        description="Cells that this process answers for, in place of one; `*` is all that the folder of settings has.",
    )
    cell_pass_on: list[str] = Field(
        default=[],
        description="Regions to whose cells requests are passed on, in place of telling clients where; data passes through here.",
    )
    cells_folder: Path | None = Field(
        default=None,
        description="Folder with the settings of each cell, as `NAME.toml`, for the operator's commands and for `served_cells`.",
    )
    replication_url: DatabaseUrl | None = Field(
        default=None,
        description="A superuser's connection URL of a cell's database, as other cells' databases reach it; moves a tenant.",
    )

    @model_validator(mode="after")
    def _knows_where_tenants_are(self) -> Self:
        if self.cell and self.served_cells:
            message = "AFFIDAVIT_CELL and AFFIDAVIT_SERVED_CELLS are both set"
            raise ValueError(message)
        if self.served_cells and self.cells_folder is None:
            message = "AFFIDAVIT_SERVED_CELLS needs AFFIDAVIT_CELLS_FOLDER"
            raise ValueError(message)
        knows = self.directory_public_key and (self.directory_url or self.directory_file)
        if (self.cell or self.served_cells) and not knows:
            message = (
                "a process of cells needs AFFIDAVIT_DIRECTORY_PUBLIC_KEY, and the directory's URL, its file, or both"
            )
            raise ValueError(message)
        return self
