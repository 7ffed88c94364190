"""Settings: where the server listens, and where its data are."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from app.settings.shape import Group, Texts

PROFILES = Path(__file__).resolve().parents[2] / "profiles"

# 128 bits, when every character has eight of them; a word would be guessed.
_SHORTEST_KEY = 16

LogLevel = Literal["debug", "info", "warning", "error"]
Driver = Literal["pymongo", "motor"]


class Serving(Group):
    """Address, processes, log, database, folders, sizes."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    base_url: str = Field("", description="public FHIR base; empty: `http://<host>:<port>/fhir`")
    workers: int = Field(1, ge=1, le=64, description="server processes")
    allow_open: bool = Field(False, description="listen on other addresses than loopback without access control")
    shutdown_grace_s: int = Field(
        30, ge=0, description="time for requests in flight when the server stops", json_schema_extra={"unit": "s"}
    )
    log_level: LogLevel = Field("info", description="debug, info, warning or error; debug may log patient data")

    mongodb_url: SecretStr = Field(
        SecretStr(""), description="MongoDB replica set; empty: a private mongod, stopped with the server"
    )
    mongodb_database: str = Field("mhd", pattern=r"^[A-Za-z0-9_-]{1,60}$", description="database in MongoDB")
    mongodb_driver: Driver = Field("pymongo", description="pymongo or motor")
    data_dir: Path = Field(Path("data"), description="folder of the private mongod")
    profiles_dir: Path = Field(PROFILES, description="folder of the profile packages")
    example_data: bool = Field(True, description="load fictitious patients and documents at the start")

    ehds: bool = Field(False, description="declare the actors of the EU Health Data API in the CapabilityStatement")
    content_guides: Texts = Field(
        (), description="canonical URLs of content guides whose documents are here, by commas, for the same"
    )

    max_body_bytes: int = Field(
        1_610_612_736, ge=1024, description="largest request body", json_schema_extra={"unit": "bytes"}
    )
    max_resource_bytes: int = Field(
        33_554_432,
        ge=1024,
        description="largest request body without the documents in it",
        json_schema_extra={"unit": "bytes"},
    )
    page_key: SecretStr = Field(
        SecretStr(""),
        description="key that signs page links, 16 characters or more; empty: made of where the data lie",
    )

    @field_validator("profiles_dir")
    @classmethod
    def _folder(cls, value: Path) -> Path:
        if not value.is_dir():
            raise ValueError("there is no such folder")
        return value

    @field_validator("base_url")
    @classmethod
    def _absolute(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment):
            raise ValueError("expected an absolute http or https URL without query, such as https://example.org/fhir")
        return value

    @field_validator("page_key")
    @classmethod
    def _long(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < _SHORTEST_KEY:
            raise ValueError(f"expected at least {_SHORTEST_KEY} characters: who guesses it can write page links")
        return value
