"""Certificates for tests: a CA, servers and clients that it signs, and what is wrong with them."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAMES = ("localhost", "127.0.0.1", "::1")


class Papers:
    """A folder with a CA (``ca``), the certificate ``server`` with its key, and what tests have made besides."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(self.ca)
        self.server = self.issue("server", *NAMES)

    def issue(self, file: str, *names: str, **more: Any) -> Path:
        """A certificate with its key in one file, signed by the CA."""
        return self._write(file, self.authority.issue_cert(*names, **more))

    def of_stranger(self, file: str, *names: str, **more: Any) -> Path:
        """The same, signed by a CA that nobody knows."""
        return self._write(file, trustme.CA().issue_cert(*names, **more))

    def expired(self, file: str, *names: str, **more: Any) -> Path:
        now = datetime.now(UTC)
        return self.issue(file, *names, not_before=now - timedelta(9), not_after=now - timedelta(1), **more)

    def _write(self, file: str, made: trustme.LeafCert) -> Path:
        path = self.folder / f"{file}.pem"
        made.private_key_and_cert_chain_pem.write_to_path(path)
        return path

    def with_uri(self, file: str, uri: str, serial: int | None = None) -> Path:
        """A client's certificate whose only name is a URI."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "by-uri")]))
            .issuer_name(self._ca.subject)
            .public_key(key.public_key())
            .serial_number(serial or x509.random_serial_number())
            .not_valid_before(now - timedelta(1))
            .not_valid_after(now + timedelta(1))
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), False)
            .sign(self._key, hashes.SHA256())
        )
        path = self.folder / f"{file}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
        return path

    def crl(self, file: str, *revoked: Path) -> Path:
        """The CA's list of certificates that are revoked."""
        now = datetime.now(UTC)
        listed = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._ca.subject)
            .last_update(now - timedelta(1))
            .next_update(now + timedelta(1))
        )
        for path in revoked:
            number = x509.load_pem_x509_certificates(path.read_bytes())[0].serial_number
            listed = listed.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now).build()
            )
        path = self.folder / f"{file}.pem"
        path.write_bytes(listed.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return path

    @property
    def _ca(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.ca.read_bytes())

    @property
    def _key(self) -> Any:
        return serialization.load_pem_private_key(self.authority.private_key_pem.bytes(), None)

    def context(self, certificate: Path | None = None, ca: Path | None = None) -> ssl.SSLContext:
        """What a client of this CA shakes hands with."""
        context = ssl.create_default_context(cafile=str(ca or self.ca))
        if certificate is not None:
            context.load_cert_chain(certificate)
        return context

    def connect(
        self,
        port: int,
        certificate: Path | None = None,
        first: bytes = b"",
        name: str = "localhost",
        context: ssl.SSLContext | None = None,
    ) -> ssl.SSLSocket:
        """A client that has shaken hands; ``first`` is what it says before that, in plain text."""
        sock = socket.create_connection(("127.0.0.1", port), timeout=20)
        sock.sendall(first)
        return (context or self.context(certificate)).wrap_socket(sock, server_hostname=name)
