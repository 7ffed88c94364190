"""Certificates for tests: an authority, and who it vouches for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


def name(common: str) -> x509.Name:
    parts = (
        (NameOID.COUNTRY_NAME, "AT"),
        (NameOID.ORGANIZATION_NAME, "North, Hospital"),
        (NameOID.COMMON_NAME, common),
    )
    return x509.Name([x509.NameAttribute(*part) for part in parts])


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """Vouches for others."""

    def __init__(self, folder: Path, common: str) -> None:
        self._folder, self._name = folder, name(common)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{common}.pem"
        made = self._signed(self._name, self._key.public_key(), is_authority=True)
        self.file.write_bytes(made.public_bytes(Encoding.PEM))

    def pair(self, common: str, password: str = "") -> Pair:
        """Return a certificate for `common` on 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._signed(name(common), key.public_key(), is_authority=False)
        found = Pair(self._folder / f"{common}-certificate.pem", self._folder / f"{common}-key.pem")
        found.certificate.write_bytes(made.public_bytes(Encoding.PEM))
        secret = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        found.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
        return found

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, is_authority: bool) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(
            self._name, subject, key, x509.random_serial_number(), now - timedelta(days=1), now + timedelta(days=1)
        )
        builder = builder.add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        return builder.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(self._key, SHA256())
