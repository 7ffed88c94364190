"""Every setting of the server: name, default, unit and meaning, and where its value came from.

`Settings` is the one table; the command `python -m app settings` prints it. A setting `port` is read from the
command line, else from the environment variable `MHD_PORT`, else from the line `MHD_PORT=…` of the file `.env`.
"""

from app.settings.fields import PREFIX, Settings
from app.settings.origin import Row, load, table
from app.settings.secrets import SettingError

__all__ = ["PREFIX", "Row", "SettingError", "Settings", "load", "table"]
