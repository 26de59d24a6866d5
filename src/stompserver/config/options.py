"""Every option, once: its name, type, default, unit, bounds, flags and help.

The command line, the environment, the configuration file, ``--help``, ``--check`` and the page
``docs/reference/options.md`` are made from this one table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field
from pydantic.fields import FieldInfo

from stompserver.config import front, values, web
from stompserver.config.listeners import (
    MESSAGE_HEADERS,
    WILDCARDS,
    BareDestination,
    ClientIdInUse,
    DelayedExpires,
    DestinationHeader,
    Dialect,
    ListenerOptions,
    Nack,
)
from stompserver.config.option import Option, Table, attribute_of, folded, option_of
from stompserver.config.policies import PolicyEntries
from stompserver.config.users import UserEntries

__all__ = [
    "FIELDS", "OPTIONS", "Config", "Option", "attribute_of", "default_text", "environment_name", "flag_of",
    "folded", "key_of",
]  # fmt: skip

ManagementAccess = Literal["local", "all", "off"]
LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
HttpMethod = Literal["post", "get"]
Loop = Literal["auto", "asyncio", "uvloop"]
PermissionsMode = Literal["enforce", "observe"]
ACCOUNTS = ("passwd", "tokens", "jwt", "http", "ldap")
QUEUE_TYPES = ("memory", "lmdb", "activerecord", "file", "dbm")

PLACE, KEEP, CLIENTS, PROTOCOL, LIMITS, PROCESS, LOG = (
    "Where to listen", "Queues", "Who may connect", "Protocol", "Limits", "Process and files", "Log",
)  # fmt: skip


class Config(Table):
    """The effective configuration: plain values; bytes, and seconds but for the heart-beat's milliseconds."""

    # fmt: off
    # Where to listen
    port: Annotated[int, Option(
        PLACE, "The port to listen on; 0 lets the system choose one",
        values.whole_number, "PORT", short="p", reload=False, original=True)] = Field(61613, ge=0, le=65535)
    host: Annotated[str, Option(
        PLACE, "The address or name to listen on; localhost is 127.0.0.1 and ::1, * is every address",
        values.words, "ADDR", short="b", reload=False, original=True)] = "127.0.0.1"

    # TLS and proxies
    tls: Annotated[front.Tls, front.TLS_MODE] = "no"
    tls_cert: Annotated[Path | None, front.TLS_CERT] = None
    tls_key: Annotated[Path | None, front.TLS_KEY] = None
    tls_key_password_file: Annotated[Path | None, front.TLS_KEY_PASSWORD_FILE] = None
    tls_names: Annotated[tuple[str, ...], front.TLS_NAMES] = ()
    tls_client_cert: Annotated[front.ClientCert, front.TLS_CLIENT_CERT] = "no"
    tls_client_ca: Annotated[Path | None, front.TLS_CLIENT_CA] = None
    tls_crl: Annotated[Path | None, front.TLS_CRL] = None
    tls_login: Annotated[front.TlsLogin, front.TLS_LOGIN] = "no"
    tls_min_version: Annotated[front.MinVersion, front.TLS_MIN_VERSION] = "1.2"
    tls_ciphers: Annotated[str, front.TLS_CIPHERS] = ""
    tls_handshake_timeout: Annotated[float, front.TLS_HANDSHAKE_TIMEOUT] = Field(10.0, ge=0.1, le=86400)
    tls_handshakes: Annotated[int, Option(
        front.TLS, "Handshakes of which a step is made in one turn of the loop: each step takes as long as some"
        " hundred messages, and the others wait",
        values.whole_number)] = Field(4, ge=1, le=10_000)
    proxy_protocol: Annotated[bool, front.PROXY_PROTOCOL] = False
    proxy_networks: Annotated[tuple[str, ...], front.PROXY_NETWORKS] = ()
    # HTTP and WebSocket
    protocol: Annotated[web.Protocol, web.PROTOCOL] = "detect"
    http: Annotated[web.Http, web.HTTP] = "local"
    websocket_origins: Annotated[tuple[str, ...], web.WEBSOCKET_ORIGINS] = ()
    websocket_compression: Annotated[web.Compression, web.WEBSOCKET_COMPRESSION] = "off"
    websocket_ping: Annotated[float, web.WEBSOCKET_PING] = Field(30.0, ge=0, le=86400)

    # Queues
    queue: Annotated[str, Option(
        KEEP, f"What keeps the messages of queues: {', '.join(QUEUE_TYPES)}",
        values.one_of(QUEUE_TYPES, "queue type"), "QUEUETYPE",
        short="q", flag="queuetype", reload=False, original=True)] = "memory"
    storage: Annotated[Path, Option(
        KEEP, "The folder for stored messages, relative to working_dir (memory queues need none)",
        values.path, "DIR", short="s", reload=False, original=True)] = Path(".stompserver")
    checkpoint: Annotated[int, Option(
        KEEP, "How often what is stored is made safe against power cuts; 0 is before each RECEIPT, more is a risk",
        values.whole_number, "SECONDS", "seconds", short="c", reload=False, original=True)] = Field(0, ge=0)
    storage_reserve: Annotated[int, Option(
        KEEP, "Disk space kept free for what was accepted already, when the disk is full",
        values.size, "SIZE", "bytes", reload=False)] = Field(64 << 20, ge=0)
    bare_destination: Annotated[BareDestination, Option(
        KEEP, "What a destination is that starts with neither /queue nor /topic: topic, queue or error",
        values.one_of(get_args(BareDestination), "kind"), "KIND")] = "topic"
    delayed_expires: Annotated[DelayedExpires, Option(
        KEEP, "What expires is of a message for later: a time, and refused when the message is due after it; or, as"
        " in ActiveMQ, a span: what was left of it at the SEND is left at each delivery",
        values.one_of(get_args(DelayedExpires), "meaning"), "MEANING")] = "time"
    prefetch: Annotated[int, Option(
        KEEP, "Un-acknowledged messages a subscription may hold when the client does not say; 0 is no limit",
        values.whole_number, unit="messages")] = Field(100, ge=0, le=1_000_000)
    prefetch_stomp10: Annotated[int, Option(
        KEEP, "The same for ack:client of STOMP 1.0 clients; the original's was 1",
        values.whole_number, unit="messages")] = Field(1, ge=0, le=1_000_000)
    prefetch_bytes: Annotated[int, Option(
        KEEP, "Bytes of un-acknowledged messages a subscription may hold when the client says nothing of the kind;"
        " 0 is no limit",
        values.size, "SIZE", "bytes")] = Field(0, ge=0)
    priorities: Annotated[bool, Option(
        KEEP, "Whether all queues deliver messages of a higher priority first: 0 to 9, and 4 for those that name"
        " none",
        values.boolean)] = False
    max_redeliveries: Annotated[int, Option(
        KEEP, "How often a message is delivered again before it goes to the dead letter queue; 0 is for ever,"
        " never is not once",
        values.redeliveries, unit="times")] = Field(0, ge=values.NEVER)
    nack: Annotated[Nack, Option(
        KEEP, "What becomes of a message when neither NACK nor a policy says: again, or deadletter at once",
        values.one_of(get_args(Nack), "choice"), "CHOICE")] = "again"
    deadletter: Annotated[str, Option(
        KEEP, "The dead letter queue; % in it is the queue's name without /queue/",
        values.queue_destination, "QUEUE")] = "/queue/deadletter"
    monitor_interval: Annotated[float, Option(
        KEEP, "Time between the reports on /queue/monitor; 0 switches them off",
        values.number, "SECONDS", "seconds")] = Field(5.0, ge=0, le=86400)

    max_scheduled: Annotated[int, Option(
        KEEP, "Messages that wait for their time (delayed and scheduled) in all",
        values.whole_number, unit="messages")] = Field(1_000_000, ge=0)
    max_durables: Annotated[int, Option(
        KEEP, "Durable subscriptions in all",
        values.whole_number)] = Field(10_000, ge=0)

    # Who may connect
    auth: Annotated[bool, Option(
        CLIENTS, "Require a login and passcode, of the file .passwd in etcdir where accounts does not say otherwise",
        values.boolean, short="a", original=True)] = False
    accounts: Annotated[tuple[str, ...], Option(
        CLIENTS, f"Where accounts are, with auth: some of {', '.join(ACCOUNTS)} and names of plug-ins; the first that"
        " knows a login and passcode counts",
        values.names("a place of accounts"), "PLACES")] = ("passwd",)
    accounts_timeout: Annotated[float, Option(
        CLIENTS, "How long one place of accounts outside the server may take to answer",
        values.number, "SECONDS", "seconds")] = Field(5.0, ge=0.1, le=3600)
    accounts_cache: Annotated[float, Option(
        CLIENTS, "How long a login that was found right outside the server is let in again without asking there",
        values.number, "SECONDS", "seconds")] = Field(60.0, ge=0, le=86400)
    jwt_key: Annotated[Path | None, Option(
        CLIENTS, "With jwt in accounts: the file with the key of who signs tokens, relative to etcdir: a public key"
        " or certificate as PEM, or a secret",
        values.optional_path, "FILE")] = None
    jwt_keys: Annotated[Path | None, Option(
        CLIENTS, "Or a file with several keys, as a JSON web key set (RFC 7517), relative to etcdir",
        values.optional_path, "FILE")] = None
    jwt_algorithms: Annotated[tuple[str, ...], Option(
        CLIENTS, "By which algorithms tokens are signed, for example RS256; no other is taken",
        values.some_names, "NAMES")] = ()
    jwt_login: Annotated[str, Option(
        CLIENTS, "The claim of a token that is the login; a dot leads into a claim of claims",
        values.some_words, "CLAIM")] = "sub"
    jwt_groups: Annotated[str, Option(
        CLIENTS, "The claim of a token with the groups that its login is in, for example realm_access.roles",
        values.some_words, "CLAIM")] = "groups"
    jwt_audience: Annotated[str, Option(
        CLIENTS, "Whom a token has to be made for (its claim aud); empty: whomever",
        values.words, "NAME")] = ""
    jwt_issuer: Annotated[str, Option(
        CLIENTS, "Who has to have made a token (its claim iss); empty: whoever has the key",
        values.words, "NAME")] = ""
    http_accounts_url: Annotated[str, Option(
        CLIENTS, "With http in accounts: where to ask, as RabbitMQ's user_path",
        values.words, "URL")] = ""
    http_accounts_method: Annotated[HttpMethod, Option(
        CLIENTS, "How to ask there: post, or get, as RabbitMQ does by default, which puts passcodes into URLs",
        values.one_of(get_args(HttpMethod), "method"), "METHOD")] = "post"
    http_accounts_ca: Annotated[Path | None, Option(
        CLIENTS, "The certificates that are trusted there, a PEM file relative to etcdir; empty: those of the system",
        values.optional_path, "FILE")] = None
    ldap_url: Annotated[str, Option(
        CLIENTS, "With ldap in accounts: the directory, for example ldaps://ldap.example.com",
        values.words, "URL")] = ""
    ldap_starttls: Annotated[bool, Option(
        CLIENTS, "Turn TLS on in a connection to the directory that begins without (ldap://)",
        values.boolean)] = False
    ldap_ca: Annotated[Path | None, Option(
        CLIENTS, "The certificates that are trusted there, a PEM file relative to etcdir; empty: those of the system",
        values.optional_path, "FILE")] = None
    ldap_user_dn: Annotated[str, Option(
        CLIENTS, "The DN of a login, for example uid=%u,ou=people,dc=example,dc=com; or empty: it is searched",
        values.words, "DN")] = ""
    ldap_bind_dn: Annotated[str, Option(
        CLIENTS, "Who searches in the directory; empty: nobody in particular, or for groups the login itself",
        values.words, "DN")] = ""
    ldap_bind_passcode: Annotated[Path | None, Option(
        CLIENTS, "The file with the passcode of ldap-bind-dn, relative to etcdir",
        values.optional_path, "FILE")] = None
    ldap_user_base: Annotated[str, Option(
        CLIENTS, "Where the entry of a login is searched",
        values.words, "DN")] = ""
    ldap_user_filter: Annotated[str, Option(
        CLIENTS, "How it is found; %u is the login",
        values.some_words, "FILTER")] = "(uid=%u)"
    ldap_group_base: Annotated[str, Option(
        CLIENTS, "Where the groups of a login are searched; empty: they are not",
        values.words, "DN")] = ""
    ldap_group_filter: Annotated[str, Option(
        CLIENTS, "How they are found; %d is the DN of the login's entry, %u the login",
        values.some_words, "FILTER")] = "(member=%d)"
    ldap_group_name: Annotated[str, Option(
        CLIENTS, "The attribute that is the name of a group",
        values.some_words, "ATTRIBUTE")] = "cn"
    expiry_warning: Annotated[float, Option(
        CLIENTS, "How long before a login expires its client is warned, where it listens for that",
        values.number, "SECONDS", "seconds")] = Field(60.0, ge=0, le=86400)
    management: Annotated[ManagementAccess, Option(
        CLIENTS, "Who may send frames to management destinations: local (clients of this machine), all or off",
        values.one_of(get_args(ManagementAccess), "choice"), "WHO")] = "local"
    permissions_mode: Annotated[PermissionsMode, Option(
        CLIENTS, "Whether the section permissions is obeyed: enforce, or observe to let everything pass and log what"
        " would be refused",
        values.one_of(get_args(PermissionsMode), "mode"), "MODE")] = "enforce"
    client_id_in_use: Annotated[ClientIdInUse, Option(
        CLIENTS, "What becomes of a second connection with a client-id: takeover (the first ends when the second"
        " wants its durable subscription), refuse (ERROR to the second) or share",
        values.one_of(get_args(ClientIdInUse), "choice"), "CHOICE")] = "takeover"
    login_timeout: Annotated[float, Option(
        CLIENTS, "How long a new connection may take to send CONNECT, and its login then to be checked",
        values.number, "SECONDS", "seconds")] = Field(10.0, ge=0.1, le=86400)

    # Protocol
    dialect: Annotated[Dialect, Option(
        PROTOCOL, "What those are used to who come from another broker: original, rabbitmq, activemq, artemis or"
        " apollo; one word that sets other options, as far as nobody sets them",
        values.one_of(get_args(Dialect), "dialect"), "BROKER")] = "original"
    heart_beat: Annotated[tuple[int, int], Option(
        PROTOCOL, "The shortest heart-beat periods the server offers to send and asks of clients; 0 is none",
        values.two_periods, "SEND,RECEIVE", "milliseconds")] = (1000, 1000)
    strict: Annotated[bool, Option(
        PROTOCOL, "Answer what the specification forbids with ERROR even where it is harmless",
        values.boolean)] = False
    server_header: Annotated[str, Option(
        PROTOCOL, "The server header of CONNECTED, by which clients choose a dialect; empty: stompserver/VERSION",
        values.words, "TEXT")] = ""
    wildcards: Annotated[tuple[str, ...], Option(
        PROTOCOL, "What stands for levels in the pattern of a SUBSCRIBE: some of * (one), >, # and ** (any number);"
        " in the file in quotes",
        values.words_of(WILDCARDS, "wildcard"), "WORDS")] = WILDCARDS
    message_headers: Annotated[tuple[str, ...], Option(
        PROTOCOL, f"Headers that each MESSAGE has, also where its sender gave none: {', '.join(MESSAGE_HEADERS)};"
        " or none. redelivered is then false on a first delivery",
        values.words_of(MESSAGE_HEADERS, "header"), "NAMES")] = ()
    destination_header: Annotated[DestinationHeader, Option(
        PROTOCOL, "What destination of a MESSAGE says: subscribed, as its subscription calls it, or full, /queue/ or"
        " /topic/ and the name",
        values.one_of(get_args(DestinationHeader), "choice"), "CHOICE")] = "subscribed"
    linger: Annotated[float, Option(
        PROTOCOL, "How long an ERROR may take to reach its client before the connection is cut",
        values.number, "SECONDS", "seconds")] = Field(2.0, ge=0, le=3600)

    # Limits
    memory_limit: Annotated[int, Option(
        LIMITS, "Memory for messages, in bytes or percent of the machine's; senders wait when it is full",
        values.share_of_memory, "SIZE", "bytes or %")] = Field("25%", ge=1024**2)  # type: ignore[assignment]  # parsed like any value
    max_body: Annotated[int, Option(
        LIMITS, "The largest body of a frame",
        values.size, "SIZE", "bytes")] = Field(100 * 1024**2, ge=0)
    max_body_before_login: Annotated[int, Option(
        LIMITS, "The largest body of a frame before CONNECT was accepted",
        values.size, "SIZE", "bytes")] = Field(64 * 1024, ge=0)
    max_memory_before_login: Annotated[int, Option(
        LIMITS, "Memory for what clients send before their CONNECT is accepted, of an address a quarter of it",
        values.size, "SIZE", "bytes")] = Field(16 * 1024**2, ge=1024**2)
    max_headers: Annotated[int, Option(
        LIMITS, "Headers of a frame",
        values.whole_number)] = Field(100, ge=10)
    max_header_bytes: Annotated[int, Option(
        LIMITS, "All headers of a frame together",
        values.size, "SIZE", "bytes")] = Field(64 * 1024, ge=1024)
    max_destination_bytes: Annotated[int, Option(
        LIMITS, "The longest name of a destination; RabbitMQ's are 255 at most",
        values.size, "SIZE", "bytes")] = Field(1024, ge=64, le=65536)
    max_destination_levels: Annotated[int, Option(
        LIMITS, "Levels of a destination's name, which . and / divide",
        values.whole_number)] = Field(64, ge=8)
    max_destination_wildcards: Annotated[int, Option(
        LIMITS, "Wildcards for any number of levels (#, > and **) in the name of a subscription",
        values.whole_number)] = Field(8, ge=1)
    max_destinations: Annotated[int, Option(
        LIMITS, "Destinations that one SEND or SUBSCRIBE names, with commas between them",
        values.whole_number)] = Field(32, ge=1)
    max_selector_cost: Annotated[int, Option(
        LIMITS, "What all selectors of a connection may cost for one message, and those of a topic's durable"
        " subscriptions; a tenth of it what one selector may",
        values.whole_number)] = Field(50_000, ge=100)
    max_subscriptions: Annotated[int, Option(
        LIMITS, "Subscriptions of a connection",
        values.whole_number)] = Field(1000, ge=1)
    max_transactions: Annotated[int, Option(
        LIMITS, "Open transactions of a connection",
        values.whole_number)] = Field(100, ge=0)
    max_transaction_frames: Annotated[int, Option(
        LIMITS, "Frames in the open transactions of a connection",
        values.whole_number)] = Field(10_000, ge=1)
    max_transaction_bytes: Annotated[int, Option(
        LIMITS, "Bytes in the open transactions of a connection",
        values.size, "SIZE", "bytes")] = Field(64 * 1024**2, ge=1024)
    transaction_timeout: Annotated[float, Option(
        LIMITS, "How long a transaction may be open before it is aborted, with an ERROR; 0 is for ever",
        values.number, "SECONDS", "seconds")] = Field(600.0, ge=0, le=86400)
    max_connections: Annotated[int, Option(
        LIMITS, "Connections in all",
        values.whole_number)] = Field(10_000, ge=1)
    max_connections_per_address: Annotated[int, Option(
        LIMITS, "Connections of one client address",
        values.whole_number)] = Field(5000, ge=1)
    max_logins_per_address: Annotated[int, Option(
        LIMITS, "Logins of one client address that are checked at once; those that were right before do not count",
        values.whole_number)] = Field(20, ge=1, le=10_000)
    max_connections_per_user: Annotated[int, Option(
        LIMITS, "Connections of one login at once, with auth; 0 is any number. users in the file has others for some",
        values.whole_number)] = Field(0, ge=0)
    max_subscriptions_per_user: Annotated[int, Option(
        LIMITS, "Subscriptions of one login on all of its connections, with auth; 0 is any number",
        values.whole_number)] = Field(0, ge=0)
    max_message_rate: Annotated[float, Option(
        LIMITS, "Messages that one login may send, with auth; who sends faster is read more slowly; 0 is any number",
        values.number, unit="messages a second")] = Field(0.0, ge=0)
    max_byte_rate: Annotated[int, Option(
        LIMITS, "Bytes that one login may send, with auth; who sends faster is read more slowly; 0 is any number",
        values.size, "SIZE", "bytes a second")] = Field(0, ge=0)
    slow_subscriber_limit: Annotated[int, Option(
        LIMITS, "How far a subscriber of a topic may fall behind before it is closed",
        values.size, "SIZE", "bytes")] = Field(16 * 1024**2, ge=1024)
    max_queues: Annotated[int, Option(
        LIMITS, "Queues in all",
        values.whole_number)] = Field(100_000, ge=1)
    idle_queues: Annotated[int, Option(
        LIMITS, "Empty queues without subscribers that are remembered, with their counters",
        values.whole_number)] = Field(10_000, ge=0)

    # Process and files
    configfile: Annotated[Path, Option(
        PROCESS, "The configuration file, relative to the folder of the start",
        values.path, "CONFIGFILE", short="C", flag="config", reload=False, original=True,
    )] = Path("stompserver.conf")
    working_dir: Annotated[Path, Option(
        PROCESS, "The working directory (. is the current directory)",
        values.path, "DIR", short="w", reload=False, original=True)] = Path(".")
    etcdir: Annotated[Path, Option(
        PROCESS, "The folder of .passwd, certificates and keys, relative to working_dir",
        values.path, "DIR", reload=False)] = Path("etc")
    daemon: Annotated[bool, Option(
        PROCESS, "Run in the background and log to logfile",
        values.boolean, reload=False)] = False
    user: Annotated[str, Option(
        PROCESS, "The user to become after binding the port; empty: stay",
        values.words, "NAME", reload=False)] = ""
    group: Annotated[str, Option(
        PROCESS, "The group to become; empty: the user's own",
        values.words, "NAME", reload=False)] = ""
    pidfile: Annotated[Path | None, Option(
        PROCESS, "The file for the process id, relative to logdir; empty: none",
        values.optional_path, "FILE", reload=False)] = Path("stompserver.pid")
    shutdown_timeout: Annotated[float, Option(
        PROCESS, "How long clients may take to receive what is on its way when the server ends",
        values.number, "SECONDS", "seconds")] = Field(10.0, ge=0, le=3600)
    loop: Annotated[Loop, Option(
        PROCESS, "The event loop: auto (uvloop when it is installed), asyncio or uvloop",
        values.one_of(get_args(Loop), "event loop"), "NAME", reload=False)] = "auto"

    # Log
    debug: Annotated[bool, Option(
        LOG, "Turn on debug messages: every frame, passcodes masked",
        values.boolean, short="d", original=True)] = False
    log_level: Annotated[LogLevel, Option(
        LOG, "The least level that is logged: debug, info, warning or error",
        values.one_of(get_args(LogLevel), "log level"), "LEVEL")] = "info"
    log_format: Annotated[LogFormat, Option(
        LOG, "How the log is written, one line an event: text or json",
        values.one_of(get_args(LogFormat), "log format"), "FORMAT")] = "text"
    logdir: Annotated[Path, Option(
        LOG, "The folder of the log, relative to working_dir",
        values.path, "DIR", reload=False)] = Path("log")
    audit: Annotated[Path | None, Option(
        LOG, "A file for who connected, was refused, managed or changed what, as JSON lines, relative to logdir;"
        " empty: none",
        values.optional_path, "FILE")] = None
    logfile: Annotated[Path, Option(
        LOG, "The log file of a daemon, relative to logdir; in the foreground the log is on standard error",
        values.path, "FILE", reload=False)] = Path("stompserver.log")
    # fmt: on

    policies: PolicyEntries = ()
    """By pattern; only the file has them."""
    listeners: tuple[ListenerOptions, ...] = ()
    """Besides host and port; only the file has them."""
    users: UserEntries = ()
    """By login; only the file has them."""
    groups: tuple[tuple[str, str, str], ...] = ()
    """``permissions.GroupEntries``; only the file has them."""
    permissions: tuple[tuple[str, str, tuple[tuple[str, str, str], ...]], ...] = ()
    """``permissions.PermissionEntries``, () where there is no such section; only the file has them."""

    def of_listener(self, number: int) -> Config:
        """What holds for clients of that listener: 0 for host and port, n for the nth of ``listeners``."""
        if not number:
            return self
        each = self.listeners[number - 1]
        update = {name: value for name, value in each if name in SHARED and value is not None}
        if each.tls_cert is not None:
            update["tls_key"] = each.tls_key
        return self.model_copy(update=update)


SHARED = frozenset(ListenerOptions.model_fields) & frozenset(Config.model_fields) - {"host", "port"}
"""Options that a listener may have for its own clients."""


def key_of(name: str) -> str:
    """The canonical key of any spelling: ``max-body`` for ``max_body``, ``:max_body`` or ``MAX-BODY``."""
    return _KEYS.get(folded(name), "")


def environment_name(key: str) -> str:
    """``STOMPSERVER_MAX_BODY`` for ``max-body``."""
    return "STOMPSERVER_" + attribute_of(key).upper()


def flag_of(key: str) -> str:
    """The long name of an option, without the dashes."""
    return OPTIONS[key].flag or key


def default_text(key: str) -> str:
    """The default as a person would write it."""
    default = FIELDS[key].default
    return values.size_as_text(default) if OPTIONS[key].parse is values.size else values.as_text(default)


# The original wrote working_dir with an underscore; everything newer is written with dashes.
FIELDS: dict[str, FieldInfo] = {
    name if name == "working_dir" else name.replace("_", "-"): field
    for name, field in Config.model_fields.items()
    if option_of(field)
}
OPTIONS: dict[str, Option] = {key: option for key, field in FIELDS.items() if (option := option_of(field))}
_KEYS = {folded(key): key for key in OPTIONS}
