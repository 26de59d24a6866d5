"""Certificates: files become what a handshake needs, made whole and tried; and what a client's certificate says."""

from __future__ import annotations

import calendar
import os
import ssl
import time
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, NamedTuple

from stompserver.errors import ConfigError

DAY: Final = 86400.0

STAGES: Final = (30, 7, 1, 0)
"""Days before a certificate expires at which that is told."""

CLIENT_CERTS: Final = {"no": ssl.CERT_NONE, "want": ssl.CERT_OPTIONAL, "need": ssl.CERT_REQUIRED}
VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

NO_CHECK_TIME: Final = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME: one that expired is to be read, too."""

LONGEST: Final = 1024
"""Characters of a name in a certificate that can be a login."""

_SHORT: Final = {
    "commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU", "countryName": "C",
    "stateOrProvinceName": "ST", "localityName": "L", "streetAddress": "STREET", "domainComponent": "DC",
    "userId": "UID",
}  # fmt: skip
"""RFC 4514, section 3; other names stay as OpenSSL writes them."""

MACHINES: Final = ("DNS", "IP Address")
"""The kinds of names that are those of machines."""

_KINDS: Final = {"san-dns": "DNS", "san-email": "email", "san-uri": "URI"}


class Pair(NamedTuple):
    """A certificate and its key; None: in the same file."""

    cert: Path
    key: Path | None


class Wanted(NamedTuple):
    """What a listener's handshakes are to be made of: the certificates, the first of which is for who asks for no
    name that another has, and what is asked of clients (``no``, ``want``, ``need``).
    """

    pairs: tuple[Pair, ...]
    password_file: Path | None = None
    client_cert: str = "no"
    client_ca: Path | None = None
    crl: Path | None = None
    min_version: str = "1.2"
    ciphers: str = ""

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that it is made of."""
        found = [path for pair in self.pairs for path in pair if path is not None]
        found += [path for path in (self.password_file, self.client_ca, self.crl) if path is not None]
        return tuple(dict.fromkeys(found))


class Certificate(NamedTuple):
    """What a certificate says: its ``names`` are those for which clients take it; times are Unix's, in s."""

    path: Path
    subject: str
    names: tuple[str, ...]
    issuer: str
    begins: float
    expires: float

    def problem(self, now: float) -> str:
        """What there is to say about its time, or nothing."""
        if now >= self.expires:
            return f"{self.path}: the certificate of {self.subject} expired on {day_of(self.expires)}"
        if now < self.begins:
            return f"{self.path}: the certificate of {self.subject} begins to hold on {day_of(self.begins)}"
        if now >= self.expires - STAGES[0] * DAY:
            left = self.expires - now
            days = f"{int(left // DAY)} days" if left >= 2 * DAY else f"{int(left // 3600)} hours"
            return (
                f"{self.path}: the certificate of {self.subject} expires in {days}, on {day_of(self.expires)};"
                " put the new one in its place"
            )
        return ""

    def stage(self, now: float) -> int:
        """Which of STAGES it has reached; -1 for none."""
        return sum(now >= self.expires - days * DAY for days in STAGES) - 1


class Credentials(NamedTuple):
    """What handshakes are made with, and what its certificates say."""

    context: ssl.SSLContext
    certificates: tuple[Certificate, ...]


def day_of(when: float) -> str:
    """The day in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(when))


def load(wanted: Wanted) -> Credentials:
    """Read the files and try what they make. Raises ConfigError with the file and what is wrong with it."""
    password = _password(wanted.password_file)
    made = [(_context(wanted, pair, password), _described(pair, password)) for pair in wanted.pairs]
    context = made[0][0]
    if len(made) > 1:
        by_name = {name.lower(): each for each, described in reversed(made) for name in described.names}

        def choose(connection: ssl.SSLObject, name: str | None, chosen: ssl.SSLContext) -> None:
            found = _by_name(by_name, name)
            if found is not None:
                connection.context = found

        context.sni_callback = choose
    return Credentials(context, tuple(described for _, described in made))


def _by_name(contexts: Mapping[str, ssl.SSLContext], name: str | None) -> ssl.SSLContext | None:
    """The one whose certificate has that name: itself, or with a wildcard for its first label (RFC 6125, 6.4.3)."""
    if not name:
        return None
    name = name.lower()
    return contexts.get(name) or contexts.get("*." + name.partition(".")[2])


def state_of(wanted: Wanted) -> tuple[object, ...]:
    """What changes when one of the files does: its time, its place on the disk, its size."""
    found: list[object] = []
    for path in wanted.files:
        try:
            state = path.stat()
        except OSError as error:
            found.append(error.errno)
        else:
            found.append((state.st_mtime_ns, state.st_ino, state.st_dev, state.st_size))
    return tuple(found)


def _password(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes().split(b"\n")[0].rstrip(b"\r")
    except OSError as error:
        raise ConfigError(f"tls-key-password-file: {path}: {_reason(error)}") from None


def _context(wanted: Wanted, pair: Pair, password: bytes | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[wanted.min_version]
    # A client must not make us work by asking for one handshake after the other.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_COMPRESSION
    if wanted.ciphers:
        try:
            context.set_ciphers(wanted.ciphers)
        except ssl.SSLError:
            raise ConfigError(f"tls-ciphers: OpenSSL knows none of {wanted.ciphers!r}") from None
    _load_pair(context, pair, password)
    context.verify_mode = CLIENT_CERTS[wanted.client_cert]
    if wanted.client_ca is not None:
        _load_list(context, "tls-client-ca", wanted.client_ca)
        if not context.cert_store_stats()["x509"]:
            raise ConfigError(f"tls-client-ca: {wanted.client_ca}: no certificate in it")
    if wanted.crl is not None:
        _load_list(context, "tls-crl", wanted.crl)
        if not context.cert_store_stats()["crl"]:
            raise ConfigError(f"tls-crl: {wanted.crl}: no list of revoked certificates in it")
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def _load_pair(context: ssl.SSLContext, pair: Pair, password: bytes | None) -> None:
    """Raises ConfigError."""
    asked = False

    def tell() -> bytes:
        # Without this OpenSSL asks whoever sits at the terminal.
        nonlocal asked
        asked = True
        return password or b""

    for option, path in (("tls-cert", pair.cert), ("tls-key", pair.key)):
        if path is not None:
            _look(option, path)
    key = pair.key or pair.cert
    try:
        context.load_cert_chain(pair.cert, pair.key, tell)
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None)
        # The second is what OpenSSL says of a key of another kind, such as EC beside a certificate with RSA.
        if reason in ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
            raise ConfigError(
                f"tls-cert: {pair.cert}: the key in {key} belongs to another certificate"
            ) from None
        if asked:
            what = "the password in tls-key-password-file is wrong" if password else "needs a password"
            fix = "" if password else "; name a file with it in tls-key-password-file"
            raise ConfigError(f"tls-key: {key}: the key is encrypted: {what}{fix}") from None
        if pair.key is None and b"PRIVATE KEY-----" not in _octets(pair.cert):
            raise ConfigError(f"tls-cert: {pair.cert}: no private key in it, and no tls-key is set") from None
        detail = f" ({reason.replace('_', ' ').lower()})" if reason else ""
        both = f" and {pair.key}" if pair.key is not None else ""
        raise ConfigError(
            f"tls-cert: {pair.cert}{both}: not a certificate and a key in PEM{detail}"
        ) from None


def _octets(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _load_list(context: ssl.SSLContext, option: str, path: Path) -> None:
    _look(option, path)
    try:
        context.load_verify_locations(path)
    except (ssl.SSLError, OSError, ValueError):
        raise ConfigError(f"{option}: {path}: not in PEM") from None


def _look(option: str, path: Path) -> None:
    """Raises ConfigError for a file that cannot be read."""
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise ConfigError(f"{option}: {path}: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"permission denied (for user {os.geteuid()})"
    return (error.strerror or str(error)).lower()


def _described(pair: Pair, password: bytes | None) -> Certificate:
    """What the certificate says, by a handshake with ourselves: so it was tried as well. Raises ConfigError."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load_pair(server, pair, password)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    # Whoever signed it: the certificate itself is what is trusted.
    client.load_verify_locations(pair.cert)
    client.verify_flags |= ssl.VerifyFlags(ssl.VERIFY_X509_PARTIAL_CHAIN | NO_CHECK_TIME)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        server.wrap_bio(to_server, to_client, server_side=True),
        client.wrap_bio(to_client, to_server),
    ]
    done = [False, False]
    try:
        for _ in range(10):
            for number, end in enumerate(ends):
                if not done[number]:
                    try:
                        end.do_handshake()
                        done[number] = True
                    except ssl.SSLWantReadError:
                        pass
            if all(done):
                break
    except ssl.SSLError as error:
        text = getattr(error, "verify_message", "") or str(error.reason or error).replace("_", " ").lower()
        raise ConfigError(f"tls-cert: {pair.cert}: no handshake can be made with it: {text}") from None
    said: dict[str, Any] = ends[1].getpeercert() or {}
    return Certificate(
        pair.cert,
        distinguished_name(said.get("subject", ())) or "nobody",
        tuple(_machine(kind, value) for kind, value in said.get("subjectAltName", ()) if kind in MACHINES),
        distinguished_name(said.get("issuer", ())),
        _seconds(said["notBefore"]),
        _seconds(said["notAfter"]),
    )


def _machine(kind: str, value: str) -> str:
    """OpenSSL writes IPv6 addresses at their full length, and a line end behind them."""
    return value if kind == "DNS" else str(ip_address(value.strip()))


def _seconds(text: str) -> float:
    # ssl.cert_time_to_seconds takes the English month names of OpenSSL as they are.
    return float(ssl.cert_time_to_seconds(text)) if text else float(calendar.timegm((1970, 1, 1, 0, 0, 0)))


# What a client's certificate says


def distinguished_name(subject: Sequence[Sequence[tuple[str, str]]]) -> str:
    """A subject as text, the most particular part first (RFC 4514), as Java and OpenSSL's RFC2253 have it."""
    parts = [[f"{_SHORT.get(name, name)}={_escaped(value)}" for name, value in each] for each in subject]
    return ",".join("+".join(part) for part in reversed(parts))


def _escaped(value: str) -> str:
    """RFC 4514, section 2.4."""
    text = "".join("\\" + each if each in ',+"\\<>;=' else each for each in value)
    if text[:1] in (" ", "#"):
        text = "\\" + text
    if text.endswith(" ") and len(text) > 1:
        text = text[:-1] + "\\ "
    return text


def names_in(certificate: Mapping[str, Any], how: str) -> list[str]:
    """The logins that a verified certificate gives, by ``how``: ``cn``, ``dn``, ``san-dns``, ``san-email`` or
    ``san-uri``. What could not be a login, or would forge lines of the log, is left out.
    """
    subject = certificate.get("subject", ())
    if how == "dn":
        found = [distinguished_name(subject)]
    elif how == "cn":
        # Of several the last is the most particular.
        found = [value for part in subject for name, value in part if name == "commonName"][-1:]
    else:
        wanted = _KINDS[how]
        found = [value for kind, value in certificate.get("subjectAltName", ()) if kind == wanted]
    return [name for name in found if name and len(name) <= LONGEST and name.isprintable()]
