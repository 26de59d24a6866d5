"""What a server holds its clients to, as plain values: made of a configuration, and made anew at each reload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver import __version__
from stompserver.broker.broker import Rules
from stompserver.config import Config
from stompserver.config.users import UserOptions
from stompserver.security.account import Allowance
from stompserver.server.fronts import fronts_of
from stompserver.server.policies import policies_of
from stompserver.session.settings import EXPIRES, FIRST_DEATH, PRIORITY, REDELIVERED, TIMESTAMP, Settings
from stompserver.wire.parser import Limits

if TYPE_CHECKING:
    from stompserver.security.permissions import Permissions

NAME: Final = "stompserver/" + __version__

SHOWN: Final = {
    "redelivered": REDELIVERED,
    "timestamp": TIMESTAMP,
    "priority": PRIORITY,
    "expires": EXPIRES,
    "x-first-death": FIRST_DEATH,
}
"""What ``message-headers`` may name."""


class Web:
    """What a listener answers by HTTP: ``protocol`` and ``http`` as those options, ``origins`` of pages that may
    connect beside its own, whether messages are compressed, and after how many s of silence it says something.
    """

    __slots__ = ("compression", "http", "origins", "ping", "protocol")

    def __init__(self, config: Config) -> None:
        self.protocol = config.protocol
        self.http = config.http
        self.origins: tuple[str, ...] = config.websocket_origins
        self.compression = config.websocket_compression
        self.ping: float = config.websocket_ping

    @property
    def plain(self) -> bool:
        """Whether there is nothing but STOMP."""
        return self.protocol == "stomp" or self.http == "off"


class Terms:
    """``rules`` are the broker's, ``settings`` those of sessions by listener: that of host and port, then those of
    ``listeners``, and ``fronts`` what comes before them; ``webs`` is by listener what it answers by HTTP.
    ``allowance`` is what each login may have, ``allowances`` what some may. ``linger``, ``login_timeout`` and
    ``monitor_interval`` are in s; ``trace``: whether frames are logged; ``permissions`` say who may do what, None
    where everybody may do everything.
    """

    __slots__ = (
        "allowance",
        "allowances",
        "fronts",
        "linger",
        "login_timeout",
        "max_connections",
        "max_connections_per_address",
        "max_logins_per_address",
        "memory_before_login",
        "monitor_interval",
        "permissions",
        "rules",
        "settings",
        "tls_handshakes",
        "trace",
        "webs",
    )

    def __init__(self, config: Config) -> None:
        self.rules = rules_of(config)
        self.settings = _settings(config)
        self.fronts = fronts_of(config)
        self.tls_handshakes: int = config.tls_handshakes
        self.webs = _webs(config)
        self.linger: float = config.linger
        self.login_timeout: float = config.login_timeout
        self.max_connections: int = config.max_connections
        self.max_connections_per_address: int = config.max_connections_per_address
        self.max_logins_per_address: int = config.max_logins_per_address
        self.memory_before_login: int = config.max_memory_before_login
        self.monitor_interval: float = config.monitor_interval
        self.trace: bool = config.debug
        self.permissions: Permissions | None = None
        if config.permissions:
            # Imported when there is such a section: most starts have none.
            from stompserver.server.permissions import permissions_of

            self.permissions = permissions_of(config)
        self.allowance = Allowance(
            config.max_connections_per_user,
            config.max_subscriptions_per_user,
            config.max_message_rate,
            config.max_byte_rate,
        )
        self.allowances = {login: _allowance(options) for login, options in config.users}


def _allowance(options: UserOptions) -> Allowance:
    return Allowance(
        options.max_connections, options.max_subscriptions, options.max_message_rate, options.max_byte_rate
    )


def _dated(config: Config) -> bool:
    """Whether a client may be told when a message came."""
    several = [config.message_headers, *[each.message_headers for each in config.listeners]]
    return any("timestamp" in each for each in several if each is not None)


def rules_of(config: Config) -> Rules:
    """The rules of a broker with these options."""
    return Rules(
        bare=config.bare_destination,
        deadletter=config.deadletter,
        max_redeliveries=config.max_redeliveries,
        max_durables=config.max_durables,
        max_queues=config.max_queues,
        max_scheduled=config.max_scheduled,
        max_bytes=config.max_destination_bytes,
        max_levels=config.max_destination_levels,
        max_wildcards=config.max_destination_wildcards,
        max_selector_cost=config.max_selector_cost,
        idle_queues=config.idle_queues,
        lag=config.slow_subscriber_limit,
        memory_limit=config.memory_limit,
        policies=policies_of(config),
        dated=_dated(config),
    )


def _settings(config: Config) -> list[Settings]:
    """By listener: that of host and port, then those of ``listeners``."""
    settings = [_settings_of(config, "")]
    for number, each in enumerate(config.listeners, 1):
        settings.append(_settings_of(config.of_listener(number), each.bare_destination or ""))
    return settings


def _webs(config: Config) -> list[Web]:
    """By listener, in the same order."""
    return [Web(config.of_listener(number)) for number in range(len(config.listeners) + 1)]


def _settings_of(config: Config, bare: str) -> Settings:
    return Settings(
        server=config.server_header or NAME,
        authenticate=config.auth,
        strict=config.strict,
        before_login=Limits(config.max_body_before_login, config.max_headers, config.max_header_bytes),
        limits=Limits(config.max_body, config.max_headers, config.max_header_bytes),
        heart_beat=config.heart_beat,
        login_timeout=config.login_timeout,
        prefetch=config.prefetch,
        prefetch10=config.prefetch_stomp10,
        max_subscriptions=config.max_subscriptions,
        max_destinations=config.max_destinations,
        max_transactions=config.max_transactions,
        max_transaction_frames=config.max_transaction_frames,
        max_transaction_bytes=config.max_transaction_bytes,
        transaction_timeout=config.transaction_timeout,
        management=config.management,
        delayed_spans=config.delayed_expires == "span",
        bare=bare,
        expiry_warning=config.expiry_warning,
        full_names=config.destination_header == "full",
        nack=config.nack,
        client_ids=config.client_id_in_use,
        prefetch_bytes=config.prefetch_bytes,
        wildcards=frozenset(config.wildcards),
        shown=sum(SHOWN[name] for name in config.message_headers),
    )
