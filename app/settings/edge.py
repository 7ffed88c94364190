"""Settings: the edge - TLS, proxies, browsers, how much and how fast a client may ask."""

from __future__ import annotations

from app.settings.serving import Serving


class Edge(Serving):
    """What stands between the network and the first transaction."""
