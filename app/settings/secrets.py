"""Secrets from files: `MHD_PAGE_KEY_FILE=/run/secrets/page-key` stands for the value that is in the file.

Container platforms hand secrets out as files; an environment variable is seen by whoever may list the container. Every
secret among the settings has such a twin; a trailing line break is no part of the secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from app.settings.fields import PREFIX, Settings

_SUFFIX = "_file"


class SettingError(Exception):
    """A setting that stops the start: one sentence with its name, the origin of its value and the remedy."""


def is_secret(name: str) -> bool:
    """Whether the value of a setting is shown to nobody."""
    info = Settings.model_fields.get(name)
    return info is not None and info.annotation is SecretStr


def with_secrets(values: Mapping[str, str], origin: str) -> dict[str, str]:
    """Return `values`, what stands in files read from them.

    Raises:
        SettingError: a file cannot be read, or the setting is given twice.
    """
    found = dict(values)
    for name, text in values.items():
        secret = name.removesuffix(_SUFFIX)
        if name.endswith(_SUFFIX) and name not in Settings.model_fields and is_secret(secret):
            if found.get(secret):
                raise SettingError(f"{_title(secret)} and {_title(name)} (from {origin}) are both given; keep one.")
            del found[name]
            found[secret] = _read(name, text, origin)
    return found


def _read(name: str, path: str, origin: str) -> str:
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingError(f"{_title(name)} (from {origin}): the file `{path}` cannot be read: {reason}.") from None


def _title(name: str) -> str:
    return f"{PREFIX}{name.upper()}"
