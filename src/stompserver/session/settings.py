"""What a session was told: plain values from the configuration."""

from __future__ import annotations

from typing import Final

from stompserver.broker.names.pattern import MARKS
from stompserver.session.principal import ANYBODY, Principal
from stompserver.wire.parser import Limits

AGAIN: Final = "again"
DEADLETTER: Final = "deadletter"

TAKEOVER: Final = "takeover"
REFUSE: Final = "refuse"
SHARE: Final = "share"

REDELIVERED: Final = 1
TIMESTAMP: Final = 2
PRIORITY: Final = 4
EXPIRES: Final = 8
FIRST_DEATH: Final = 16


class Settings:
    """What a session was told: plain values from the configuration.

    ``heart_beat`` is what the server can send and wants to get, in ms; ``login_timeout`` and
    ``transaction_timeout`` (0: none) in s; ``prefetch`` and ``prefetch10`` (for 1.0 with ack:client) in messages;
    ``authenticate`` makes each CONNECT wait for the shell's answer, and without it all clients are ``anybody``;
    ``management`` says who may send to management destinations: local, all, off; ``delayed_spans`` that ``expires``
    of a message for later is a span from its delivery on; ``bare`` is as in Naming, "" where it is the broker's.
    With ``full_names`` a MESSAGE shows /queue/ or /topic/ and the name, whatever its subscription calls that.
    ``expiry_warning`` is how many s before its login expires a client is warned.
    ``nack`` is what becomes of a message when neither NACK nor a policy says (AGAIN, DEADLETTER), ``client_ids`` what
    becomes of a second connection with a client-id (TAKEOVER, REFUSE, SHARE). ``shown`` are
    headers that each MESSAGE has, as a sum of REDELIVERED, TIMESTAMP, PRIORITY and EXPIRES, and each dead letter
    (FIRST_DEATH). ``prefetch_bytes`` (0: no
    limit) holds for who says nothing of either prefetch; ``wildcards`` are what may stand for levels in a pattern.
    """

    __slots__ = (
        "anybody",
        "authenticate",
        "bare",
        "before_login",
        "client_ids",
        "delayed_spans",
        "expiry_warning",
        "full_names",
        "heart_beat",
        "limits",
        "login_timeout",
        "management",
        "max_destinations",
        "max_subscriptions",
        "max_transaction_bytes",
        "max_transaction_frames",
        "max_transactions",
        "nack",
        "prefetch",
        "prefetch10",
        "prefetch_bytes",
        "server",
        "shown",
        "strict",
        "transaction_timeout",
        "wildcards",
    )

    def __init__(
        self,
        server: str = "stompserver",
        authenticate: bool = False,
        strict: bool = False,
        before_login: Limits | None = None,
        limits: Limits | None = None,
        heart_beat: tuple[int, int] = (1000, 1000),
        login_timeout: float = 10.0,
        prefetch: int = 100,
        prefetch10: int = 1,
        max_subscriptions: int = 1000,
        max_destinations: int = 32,
        max_transactions: int = 100,
        max_transaction_frames: int = 10_000,
        max_transaction_bytes: int = 64 << 20,
        transaction_timeout: float = 600.0,
        management: str = "local",
        anybody: Principal = ANYBODY,
        delayed_spans: bool = False,
        bare: str = "",
        nack: str = AGAIN,
        client_ids: str = TAKEOVER,
        shown: int = 0,
        prefetch_bytes: int = 0,
        wildcards: frozenset[str] = MARKS,
        full_names: bool = False,
        expiry_warning: float = 60.0,
    ) -> None:
        self.expiry_warning: float = expiry_warning
        self.server = server
        self.authenticate = authenticate
        self.strict = strict
        self.before_login = before_login or Limits(64 << 10, 100, 64 << 10)
        self.limits = limits or Limits(100 << 20, 100, 64 << 10)
        self.heart_beat = heart_beat
        self.login_timeout = login_timeout
        self.prefetch: int = prefetch
        self.prefetch10: int = prefetch10
        self.max_destinations: int = max_destinations
        self.max_subscriptions: int = max_subscriptions
        self.max_transactions: int = max_transactions
        self.max_transaction_frames: int = max_transaction_frames
        self.max_transaction_bytes: int = max_transaction_bytes
        self.transaction_timeout: float = transaction_timeout
        self.management = management
        self.anybody = anybody
        self.delayed_spans: bool = delayed_spans
        self.bare = bare
        self.full_names: bool = full_names
        self.nack = nack
        self.client_ids = client_ids
        self.shown: int = shown
        self.prefetch_bytes: int = prefetch_bytes
        self.wildcards = wildcards
