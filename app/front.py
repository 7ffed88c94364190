"""The edge of the server as its settings describe it."""

from __future__ import annotations

from urllib.parse import urlsplit

from app.rest.arrival import Pace
from app.rest.body import Limits
from app.rest.cors import Cors
from app.rest.front import Front
from app.rest.metrics import Metrics
from app.rest.proxies import Proxies, networks_of
from app.rest.throttle import Throttle
from app.settings import Settings


def front_of(settings: Settings) -> Front:
    """Return the edge that `settings` describe."""
    path = urlsplit(settings.url).path.rstrip("/")
    throttle = Throttle(settings.rate_limit_per_s, settings.rate_burst, settings.max_concurrent)
    refused = ("requests that were refused because a client asked too much", lambda: throttle.refused)
    return Front(
        base_path=path,
        limits=Limits(settings.max_body_bytes, settings.max_resource_bytes),
        pace=Pace(settings.body_timeout_s, settings.body_rate),
        throttle=throttle,
        proxies=Proxies(
            networks_of(settings.trusted_proxies),
            settings.proxy_header == "forwarded",
            settings.proxy_certificate_header.lower(),
            urlsplit(settings.url).scheme,
        ),
        cors=Cors(settings.cors_origins, path),
        metrics=Metrics(gauges={"mhd_requests_throttled_total": refused}),
        max_headers=settings.max_headers,
        max_header_bytes=settings.max_header_bytes,
        hsts_s=settings.hsts_s,
    )
