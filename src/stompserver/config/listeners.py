"""The options of further listeners: ``listeners:`` of the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field
from pydantic.fields import FieldInfo

from stompserver.config import front, values, web
from stompserver.config.front import of_listener
from stompserver.config.option import Option, Table, fields_of, folded

LISTENER = "Listeners"

BareDestination = Literal["topic", "queue", "error"]
ClientIdInUse = Literal["takeover", "refuse", "share"]
DestinationHeader = Literal["subscribed", "full"]
DelayedExpires = Literal["time", "span"]
Nack = Literal["again", "deadletter"]
Dialect = Literal["original", "rabbitmq", "activemq", "artemis", "apollo"]

MESSAGE_HEADERS = ("redelivered", "timestamp", "priority", "expires", "x-first-death")

WILDCARDS = ("*", ">", "#", "**")

DIALECT = Option(
    LISTENER, "What those are used to who come from another broker: one word that sets the options below",
    values.optional(values.one_of(get_args(Dialect), "dialect")), "BROKER",
)  # fmt: skip


class ListenerOptions(Table):
    """One more address to listen on. None: as the option of the same name of the server."""

    # fmt: off
    port: Annotated[int, Option(
        LISTENER, "The port to listen on; 0 lets the system choose one",
        values.whole_number, "PORT", reload=False)] = Field(0, ge=0, le=65535)
    host: Annotated[str | None, Option(
        LISTENER, "The address or name to listen on; localhost is 127.0.0.1 and ::1, * is every address",
        values.optional_words, "ADDR", reload=False)] = None
    name: Annotated[str, Option(
        LISTENER, "What it is called in the log, and among the sockets of systemd (FileDescriptorName)",
        values.words, "NAME", reload=False)] = ""
    unix: Annotated[Path | None, Option(
        LISTENER, "A Unix socket in place of host and port, relative to working_dir",
        values.optional_path, "PATH", reload=False)] = None
    unix_mode: Annotated[int, Option(
        LISTENER, "The permissions of the Unix socket: who may write to it may connect",
        values.file_mode, "MODE", reload=False)] = 0o660
    unix_group: Annotated[str, Option(
        LISTENER, "The group that the Unix socket belongs to, by name or number; empty: the server's",
        values.words, "GROUP", reload=False)] = ""
    tls: Annotated[front.Tls | None, of_listener(front.TLS_MODE)] = None
    tls_cert: Annotated[Path | None, front.TLS_CERT] = None
    tls_key: Annotated[Path | None, front.TLS_KEY] = None
    tls_key_password_file: Annotated[Path | None, front.TLS_KEY_PASSWORD_FILE] = None
    tls_names: Annotated[tuple[str, ...] | None, of_listener(front.TLS_NAMES)] = None
    tls_client_cert: Annotated[front.ClientCert | None, of_listener(front.TLS_CLIENT_CERT)] = None
    tls_client_ca: Annotated[Path | None, front.TLS_CLIENT_CA] = None
    tls_crl: Annotated[Path | None, front.TLS_CRL] = None
    tls_login: Annotated[front.TlsLogin | None, of_listener(front.TLS_LOGIN)] = None
    tls_min_version: Annotated[front.MinVersion | None, of_listener(front.TLS_MIN_VERSION)] = None
    tls_ciphers: Annotated[str | None, of_listener(front.TLS_CIPHERS)] = None
    tls_handshake_timeout: Annotated[float | None, of_listener(front.TLS_HANDSHAKE_TIMEOUT)] = Field(
        None, ge=0.1, le=86400)
    proxy_protocol: Annotated[bool | None, of_listener(front.PROXY_PROTOCOL)] = None
    proxy_networks: Annotated[tuple[str, ...] | None, of_listener(front.PROXY_NETWORKS)] = None
    protocol: Annotated[web.Protocol | None, replace(
        web.PROTOCOL, parse=values.optional(web.PROTOCOL.parse))] = None
    http: Annotated[web.Http | None, replace(web.HTTP, parse=values.optional(web.HTTP.parse))] = None
    websocket_origins: Annotated[tuple[str, ...] | None, replace(
        web.WEBSOCKET_ORIGINS, parse=values.optional(web.WEBSOCKET_ORIGINS.parse))] = None
    websocket_compression: Annotated[web.Compression | None, replace(
        web.WEBSOCKET_COMPRESSION, parse=values.optional(web.WEBSOCKET_COMPRESSION.parse))] = None
    websocket_ping: Annotated[float | None, replace(
        web.WEBSOCKET_PING, parse=values.optional(web.WEBSOCKET_PING.parse))] = Field(None, ge=0, le=86400)
    strict: Annotated[bool | None, Option(
        LISTENER, "Answer what the specification forbids with ERROR even where it is harmless",
        values.optional_boolean)] = None
    dialect: Annotated[Dialect | None, DIALECT] = None
    server_header: Annotated[str | None, Option(
        LISTENER, "The server header of CONNECTED, by which some clients choose their dialect",
        values.optional_words, "TEXT")] = None
    bare_destination: Annotated[BareDestination | None, Option(
        LISTENER, "What a destination is that starts with neither /queue nor /topic: topic, queue or error",
        values.optional(values.one_of(get_args(BareDestination), "kind")), "KIND")] = None
    delayed_expires: Annotated[DelayedExpires | None, Option(
        LISTENER, "What expires is of a message for later: a time, or, as in ActiveMQ, a span from its delivery on",
        values.optional(values.one_of(get_args(DelayedExpires), "meaning")), "MEANING")] = None
    prefetch: Annotated[int | None, Option(
        LISTENER, "Un-acknowledged messages a subscription may hold when the client does not say; 0 is no limit",
        values.optional(values.whole_number), unit="messages")] = Field(None, ge=0, le=1_000_000)
    prefetch_stomp10: Annotated[int | None, Option(
        LISTENER, "The same for ack:client of STOMP 1.0 clients",
        values.optional(values.whole_number), unit="messages")] = Field(None, ge=0, le=1_000_000)
    prefetch_bytes: Annotated[int | None, Option(
        LISTENER, "Bytes of un-acknowledged messages a subscription may hold when the client does not say; 0 is no"
        " limit",
        values.optional(values.size), "SIZE", "bytes")] = Field(None, ge=0)
    wildcards: Annotated[tuple[str, ...] | None, Option(
        LISTENER, "What stands for levels in the pattern of a SUBSCRIBE: some of * (one), >, # and ** (any number);"
        " in the file in quotes",
        values.optional(values.words_of(WILDCARDS, "wildcard")), "WORDS")] = None
    nack: Annotated[Nack | None, Option(
        LISTENER, "What becomes of a message when NACK does not say: again, or deadletter at once",
        values.optional(values.one_of(get_args(Nack), "choice")), "CHOICE")] = None
    message_headers: Annotated[tuple[str, ...] | None, Option(
        LISTENER, f"Headers that each MESSAGE has, also where its sender gave none: {', '.join(MESSAGE_HEADERS)}",
        values.optional(values.words_of(MESSAGE_HEADERS, "header")), "NAMES")] = None
    destination_header: Annotated[DestinationHeader | None, Option(
        LISTENER, "What destination of a MESSAGE says: subscribed, as its subscription calls it, or full, /queue/ or"
        " /topic/ and the name",
        values.optional(values.one_of(get_args(DestinationHeader), "choice")), "CHOICE")] = None
    client_id_in_use: Annotated[ClientIdInUse | None, Option(
        LISTENER, "What becomes of a second connection with a client-id: takeover, refuse or share",
        values.optional(values.one_of(get_args(ClientIdInUse), "choice")), "CHOICE")] = None
    # fmt: on

    @property
    def address(self) -> tuple[object, ...]:
        """Where it listens, and how it begins to speak there: what only a restart changes."""
        return self.host, self.port, self.unix, self.unix_mode, self.unix_group, self.tls, self.proxy_protocol


LISTENER_FIELDS: dict[str, tuple[FieldInfo, Option]] = fields_of(ListenerOptions)


def listener_key(name: str) -> str:
    """The canonical key of any spelling, or ""."""
    key = folded(name)
    return key if key in LISTENER_FIELDS else ""
