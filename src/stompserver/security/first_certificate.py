"""A CA and a certificate for a first try of TLS. Needs the library cryptography (extra ``tls``)."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

try:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import (
        SECP256R1,
        EllipticCurvePrivateKey,
        generate_private_key,
    )
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import ExtendedKeyUsageOID
except ModuleNotFoundError:
    from stompserver.errors import ConfigError

    raise ConfigError(
        "--make-certificate: needs the library cryptography; pip install 'stompserver[tls]' installs it"
    ) from None

from stompserver.errors import ConfigError

DAYS: Final = 365
"""How long they hold."""

NAMES: Final = ("localhost", "127.0.0.1", "::1")
"""What the certificate is for when nobody says."""


def make(folder: Path, names: Sequence[str], now: datetime | None = None) -> tuple[Path, Path]:
    """Write ``ca.pem``, which clients need, and ``server.pem``, the certificate for ``names`` with its key, into
    ``folder``. The key of the CA is kept nowhere, so nobody can sign more in its name. Raises ConfigError, also where
    one of the files is there already: nothing is overwritten.
    """
    wanted = names or NAMES
    alternative = x509.SubjectAlternativeName([_general_name(name) for name in wanted])
    ca, server = folder / "ca.pem", folder / "server.pem"
    for path in (ca, server):
        if path.exists():
            raise ConfigError(f"--make-certificate: {path} is there already; nothing was made")
    begins = (now or datetime.now(UTC)) - timedelta(hours=1)
    ca_key, key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    ca_name = _name("stompserver, CA for a first try")
    identifier = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    authority = (
        _begun(ca_name, ca_name, ca_key, begins)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(identifier, critical=False)
    )
    leaf = (
        _begun(_name(wanted[0][:64]), ca_name, key, begins)
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(server, private + _signed(leaf, ca_key), 0o600)
        _write(ca, _signed(authority, ca_key), 0o644)
    except OSError as error:
        raise ConfigError(f"--make-certificate: {error.filename}: {error.strerror}") from None
    return ca, server


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    labels = name.removeprefix("*.").split(".")
    fine = all(label and len(label) <= 63 and label.replace("-", "").isalnum() for label in labels)
    if not fine or not name.isascii() or len(name) > 253:
        raise ConfigError(f"--make-certificate: {name!r} is neither a name of a machine nor an address")
    return x509.DNSName(name)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _begun(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, begins: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=DAYS))
    )


def _usage(signs: bool) -> x509.KeyUsage:
    """What a key is for: to sign certificates, or to make handshakes."""
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(begun: x509.CertificateBuilder, key: EllipticCurvePrivateKey) -> bytes:
    return begun.sign(key, SHA256()).public_bytes(Encoding.PEM)


def _write(path: Path, octets: bytes, mode: int) -> None:
    """A new file. Raises OSError where there is one."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(octets)
