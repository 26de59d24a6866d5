"""What a listener wants of a connection before STOMP, made of a configuration: a PROXY header, a handshake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stompserver.config import Config

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from stompserver.security.certificates import Wanted


class Front:
    """``tls`` is no, yes or detect, and ``wanted`` what its handshakes are made of; ``login`` what of a client's
    certificate is its login; ``timeout`` how long a handshake may take, in s. With ``proxy`` a header comes first,
    from one of ``networks``, or over a Unix socket.
    """

    __slots__ = ("login", "networks", "proxy", "timeout", "tls", "unix", "wanted")

    def __init__(self, config: Config, unix: bool = False) -> None:
        self.tls = config.tls
        self.wanted: Wanted | None = _wanted(config) if config.tls != "no" else None
        self.login = config.tls_login
        self.timeout: float = config.tls_handshake_timeout
        self.proxy: bool = config.proxy_protocol
        self.networks = _networks(config.proxy_networks) if config.proxy_protocol else []
        self.unix = unix

    @property
    def plain(self) -> bool:
        """Whether STOMP comes first, over TCP."""
        return self.tls == "no" and not self.proxy and not self.unix


def fronts_of(config: Config) -> list[Front]:
    """By listener: that of host and port, then those of ``listeners``."""
    found = [Front(config)]
    for number, each in enumerate(config.listeners, 1):
        found.append(Front(config.of_listener(number), each.unix is not None))
    return found


def _wanted(config: Config) -> Wanted:
    # ssl, and what reads certificates, only where there are any.
    from pathlib import Path

    from stompserver.security.certificates import Pair, Wanted

    assert config.tls_cert is not None  # config checks that
    pairs = [Pair(config.tls_cert, config.tls_key)]
    for each in config.tls_names:
        cert, colon, key = each.partition(":")
        pairs.append(Pair(Path(cert), Path(key) if colon else None))
    return Wanted(
        tuple(pairs),
        config.tls_key_password_file,
        config.tls_client_cert,
        config.tls_client_ca,
        config.tls_crl,
        config.tls_min_version,
        config.tls_ciphers,
    )


def _networks(texts: tuple[str, ...]) -> list[IPv4Network | IPv6Network]:
    from ipaddress import ip_network

    return [ip_network(each) for each in texts]
