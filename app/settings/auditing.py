"""Settings: who did - audit events, how long they are kept, where they are sent."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from ssl import create_default_context
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from app.audit.fhir_feed import Bearer, ClientCredentials, FhirFeed, Given
from app.audit.forward import Pace, Repository
from app.audit.recording import Keeping, Unavailable
from app.audit.settings import AuditSettings, Claims, Patients
from app.audit.syslog import PORT, SyslogFeed
from app.settings.access import Access

_FORWARD_SCHEMES = ("http", "https", "syslog+tls")


class Auditing(Access):
    """What is recorded, kept and forwarded."""

    audit: bool = Field(True, description="keep an audit event of every request")
    audit_server: str = Field("fhir-server", min_length=1, description="what this server is called in its events")
    audit_site: str = Field("", description="where it stands, in its events; empty: not told")
    audit_token: Claims = Field(
        "minimal", description="what an event repeats of an access token: opaque, minimal or comprehensive"
    )
    audit_patients: Patients = Field(
        "each", description="a search makes an event for each patient found, or for those named in it"
    )
    audit_clear_query: bool = Field(False, description="searches stand in events decoded as well")
    audit_require_date: bool = Field(True, description="refuse ITI-81 without `date`")
    audit_mongodb_url: SecretStr = Field(
        SecretStr(""), description="MongoDB replica set of the audit events; empty: that of the resources"
    )
    audit_unavailable: Unavailable = Field(
        "refuse", description="while events cannot be kept: refuse requests, or spool their events"
    )
    audit_spool_dir: Path = Field(Path("data/audit-spool"), description="folder of the spool")
    audit_retention_days: int = Field(
        0, ge=0, description="events are kept so long; 0: for ever", json_schema_extra={"unit": "days"}
    )
    audit_forward: str = Field(
        "", description="where events are sent on to: FHIR base (ITI-20), or `syslog+tls://host:port`; empty: nowhere"
    )
    audit_forward_token: SecretStr = Field(SecretStr(""), description="bearer token for that base")
    audit_forward_token_url: str = Field("", description="token endpoint that gives one for client credentials")
    audit_forward_client_id: str = Field("", description="client id there")
    audit_forward_client_secret: SecretStr = Field(SecretStr(""), description="client secret there")
    audit_forward_ca: str = Field("", description="file of the certificates trusted there; empty: the system's")
    audit_forward_batch: int = Field(100, ge=1, le=1000, description="most events in one message")
    audit_forward_retry_s: float = Field(
        60.0, gt=0, description="longest pause between attempts", json_schema_extra={"unit": "s"}
    )

    audit_forward_timeout_s: float = Field(
        30.0, gt=0, description="time for one message", json_schema_extra={"unit": "s"}
    )

    @field_validator("audit_forward")
    @classmethod
    def _destination(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in _FORWARD_SCHEMES or not parts.hostname or parts.query or parts.fragment):
            raise ValueError("expected a FHIR base such as https://arr.example.org/fhir, or syslog+tls://host:port")
        return value

    def keeping(self, base_url: str) -> Keeping | None:
        """Return how events of the server at `base_url` are kept; None when they are not."""
        if not self.audit:
            return None
        return Keeping(
            events=AuditSettings(
                base_url=base_url,
                server=self.audit_server,
                site=self.audit_site,
                claims=self.audit_token,
                patients=self.audit_patients,
                clear_query=self.audit_clear_query,
            ),
            unavailable=self.audit_unavailable,
            spool=self.audit_spool_dir,
            retention=timedelta(days=self.audit_retention_days) if self.audit_retention_days else None,
            forward=self._repository if self.audit_forward else None,
            pace=Pace(
                batch=self.audit_forward_batch,
                first_s=min(1.0, self.audit_forward_retry_s),
                longest_s=self.audit_forward_retry_s,
                lease_s=1.5 * self.audit_forward_timeout_s,
            ),
        )

    def _repository(self) -> Repository:
        parts, trusted = urlsplit(self.audit_forward), self.audit_forward_ca or None
        if parts.scheme == "syslog+tls":
            context = create_default_context(cafile=trusted)
            return SyslogFeed(parts.hostname or "", parts.port or PORT, context, timeout_s=self.audit_forward_timeout_s)
        return FhirFeed(
            self.audit_forward, self._bearer(), timeout_s=self.audit_forward_timeout_s, verify=trusted or True
        )

    def _bearer(self) -> Bearer:
        if not self.audit_forward_token_url:
            return Given(self.audit_forward_token.get_secret_value())
        secret = self.audit_forward_client_secret.get_secret_value()
        return ClientCredentials(self.audit_forward_token_url, self.audit_forward_client_id, secret)
