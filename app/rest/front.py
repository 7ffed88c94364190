"""What the edge of one server knows and counts, the same for all its requests."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.rest.arrival import Pace
from app.rest.body import Limits
from app.rest.cors import Cors
from app.rest.metrics import Metrics
from app.rest.proxies import Proxies
from app.rest.throttle import Throttle


@dataclass(frozen=True, slots=True)
class Front:
    """The edge of a server.

    Attributes:
        base_path: path of `[base]`, without a slash at the end.
        limits: sizes of bodies.
        pace: how slowly they may arrive.
        throttle: how much a client may ask.
        proxies: whose word is taken on who asks.
        cors: browser clients.
        metrics: what is counted.
        max_headers, max_header_bytes: number of header fields; their size together with that of the URL.
        hsts_s: seconds for which browsers are to remember TLS; 0: they are not told.
        is_tls_only: with authorization on, what other machines send without TLS is refused (IUA-29).
    """

    base_path: str
    limits: Limits
    pace: Pace = field(default_factory=Pace)
    throttle: Throttle = field(default_factory=Throttle)
    proxies: Proxies = field(default_factory=Proxies)
    cors: Cors = field(default_factory=lambda: Cors((), ""))
    metrics: Metrics = field(default_factory=Metrics)
    max_headers: int = 100
    max_header_bytes: int = 65_536
    hsts_s: int = 0
    is_tls_only: bool = True
