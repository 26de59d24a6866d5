"""What comes before STOMP: the options of TLS and the PROXY protocol. The server has them, and a listener its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal, get_args

from stompserver.config import values
from stompserver.config.option import Option

TLS = "TLS and proxies"

Tls = Literal["no", "yes", "detect"]
ClientCert = Literal["no", "want", "need"]
TlsLogin = Literal["no", "cn", "dn", "san-dns", "san-email", "san-uri"]
MinVersion = Literal["1.2", "1.3"]


def _or_boolean(known: tuple[str, ...], noun: str) -> values.Parse:
    """A parser for one of a few words, of which ``yes`` and ``no`` may be written as any boolean."""
    parse_word = values.one_of(known, noun)

    def parse(value: object) -> object:
        try:
            return "yes" if values.boolean(value) else "no"
        except ValueError:
            return parse_word(value)

    return parse


def _no_or(known: tuple[str, ...], noun: str) -> values.Parse:
    """A parser for one of a few words, of which ``no`` may be written as any word for false."""
    parse_word = values.one_of(known, noun)

    def parse(value: object) -> object:
        try:
            said = values.boolean(value)
        except ValueError:
            return parse_word(value)
        if said:
            raise ValueError(f"{values.shown(value)} does not say which; known: {', '.join(known)}")
        return "no"

    return parse


TLS_MODE: Final = Option(
    TLS, "Whether clients speak TLS: no, yes, or detect (TLS and plain on one port, by the first octet)",
    _or_boolean(get_args(Tls), "choice"), "MODE", reload=False, alone="yes",
)  # fmt: skip
TLS_CERT: Final = Option(
    TLS, "The certificate and those between it and its CA, in PEM, relative to etcdir",
    values.optional_path, "FILE",
)  # fmt: skip
TLS_KEY: Final = Option(
    TLS, "The private key of tls-cert, in PEM, relative to etcdir; empty: it is in tls-cert",
    values.optional_path, "FILE",
)  # fmt: skip
TLS_KEY_PASSWORD_FILE: Final = Option(
    TLS, "A file whose first line is the password of encrypted keys, relative to etcdir",
    values.optional_path, "FILE",
)  # fmt: skip
TLS_NAMES: Final = Option(
    TLS, "More certificates, for clients that ask for one of their names (SNI): CERT or CERT:KEY, with commas between"
    " them",
    values.certificates, "FILES",
)  # fmt: skip
TLS_CLIENT_CERT: Final = Option(
    TLS, "Whether clients are asked for a certificate of tls-client-ca: no, want (those that have one) or need",
    _no_or(get_args(ClientCert), "choice"), "CHOICE",
)  # fmt: skip
TLS_CLIENT_CA: Final = Option(
    TLS, "The CAs that sign certificates of clients, in PEM, relative to etcdir",
    values.optional_path, "FILE",
)  # fmt: skip
TLS_CRL: Final = Option(
    TLS, "The certificates of clients that are revoked: lists of each of these CAs, in PEM, relative to etcdir",
    values.optional_path, "FILE",
)  # fmt: skip
TLS_LOGIN: Final = Option(
    TLS, "What of a client's certificate is its login: no, cn, dn, san-dns, san-email or san-uri",
    _no_or(get_args(TlsLogin), "choice"), "CHOICE",
)  # fmt: skip
TLS_MIN_VERSION: Final = Option(
    TLS, "The oldest version of TLS that is spoken: 1.2 or 1.3",
    values.one_of(get_args(MinVersion), "version"), "VERSION",
)  # fmt: skip
TLS_CIPHERS: Final = Option(
    TLS, "The ciphers of TLS 1.2, as OpenSSL writes them; empty: OpenSSL's choice. Those of 1.3 are all good",
    values.words, "LIST",
)  # fmt: skip
TLS_HANDSHAKE_TIMEOUT: Final = Option(
    TLS, "How long a client may take from its connection to the end of the handshake, of its login-timeout",
    values.number, "SECONDS", "seconds",
)  # fmt: skip
PROXY_PROTOCOL: Final = Option(
    TLS, "Whether each connection begins with a header of the PROXY protocol, version 1 or 2, that says where it"
    " comes from",
    values.boolean, reload=False,
)  # fmt: skip
PROXY_NETWORKS: Final = Option(
    TLS, "The addresses of the proxies: only from these is that header believed, and nobody else is let in",
    values.networks, "NETWORKS",
)  # fmt: skip


def of_listener(option: Option) -> Option:
    """The same, where None is what the server has."""
    return replace(option, parse=values.optional(option.parse))
