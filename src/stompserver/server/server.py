"""The composition root: broker, store, listeners and connections put together."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from stompserver import __version__, migrate, monitor
from stompserver.broker.broker import Broker, Rules
from stompserver.broker.destination import SYSTEM
from stompserver.broker.oplog import OpLog
from stompserver.broker.window import Window
from stompserver.config import Config
from stompserver.errors import Refused
from stompserver.security.users import Users
from stompserver.server.alarm import Alarm
from stompserver.server.connection import LOGIN, TURN, Connection, is_loopback
from stompserver.server.cron import next_cron
from stompserver.server.listeners import listener_of
from stompserver.server.policies import policies_of
from stompserver.server.process import connections_that_fit
from stompserver.server.producers import Producers
from stompserver.server.recall import recall
from stompserver.server.reserve import Reserve
from stompserver.server.storage import Pump
from stompserver.session.outbox import Outbox
from stompserver.session.session import Session
from stompserver.session.settings import Settings
from stompserver.stores.base import Place, Stored, open_store
from stompserver.stores.lock import Lock
from stompserver.wire.parser import Limits

log = logging.getLogger("stompserver")
connection_log = logging.getLogger("stompserver.connection")

NAME: Final = "stompserver/" + __version__

EPOCH: Final = 1577836800
"""Seconds: 2020-01-01, from which message numbers are counted so that they stay short."""

WRONG_LOGIN: Final = 1.0
"""Seconds that the answer to a wrong login takes."""

ACCEPT: Final = 100
"""Connections accepted in one turn of the loop."""

BACKLOG: Final = 1024
"""Connections that may wait to be accepted."""

SURPLUS: Final = 100
"""Connections above the limit that are told so; more than these are just closed."""


def first_number(now: float) -> int:
    """The first message number of a run started at ``now`` (Unix time, s): above all of earlier runs as long as
    those sent fewer than 67 million messages a second; below 2**57 until the year 2088.

    Counted in 1024ths of a second: a server that was killed may be back within the same second.
    """
    return max(1, int((now - EPOCH) * 1024)) << 16


class Server:
    """A running server on sockets that are already bound.

    ``failed`` is set when it must end with a non-zero code.
    """

    def __init__(self, config: Config, users: Users | None, sockets: Sequence[socket.socket]) -> None:
        self.config = config
        self.failed = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.time = self.loop.time
        self.connections: dict[Outbox, Connection] = {}
        self._users = users
        self._sockets = sockets
        self._servers: list[asyncio.Server] = []
        self.pump: Pump | None = None
        self._lock: Lock | None = None
        self.broker = self._open_store(config)
        self.broker.schedule.next_cron = next_cron
        self.alarm = Alarm(self.broker, self.loop, time.time, self.soon)
        self._settings = _settings(config)
        """By listener: that of host and port, then those of ``listeners``."""
        self.linger: float = config.linger
        self._dirty: list[Outbox] = []
        self._scheduled = False
        self._resting: list[Connection] = []
        self.producers = Producers(self)
        self._open: set[Connection] = set()
        """Connections that count against the limits: not those that only linger."""
        self._addresses: dict[str, int] = {}
        self._logins: set[asyncio.Task[None]] = set()
        self.draining = False
        self._empty = asyncio.Event()
        # Password hashing is made to be slow: it has threads of its own, few, so that logins cannot take the
        # machine from clients that are in.
        self._hashing = ThreadPoolExecutor(2, "login")
        self._monitor: asyncio.TimerHandle | None = None

    def _open_store(self, config: Config) -> Broker:
        """A broker that knows what the store holds, with the pump between them (none where nothing is kept).

        Raises StoreError and its kin.
        """
        first = first_number(time.time())
        place = Place(Path(config.storage), Path(config.etcdir))
        for original in migrate.found(place.storage, place.etc):
            if not original.imported:
                log.warning("%s", original, extra={"event": "original_found"})
        if config.queue == "memory":
            return Broker(_rules(config), OpLog(), first)
        self._lock = Lock(place.storage)
        store = open_store(config.queue, place)
        log.info("Queue initialized: %s", store.description, extra={"event": "store"})
        # An import that was killed at its very end is completed, so that it can never be done twice.
        migrate.Ledger(place.storage).settle(store)
        broker = Broker(_rules(config), OpLog(True), first, Window())
        remembered: list[Stored] = []
        for stored in store.load():
            if stored.name.startswith(SYSTEM):
                remembered.append(stored)
                continue
            broker.restore(stored.name, stored.count, stored.lowest, stored.highest, stored.bytes)
            log.info("%s has %d messages", stored.name, stored.count, extra={"event": "restored"})
        reserve = Reserve(place.storage, config.storage_reserve) if store.local else None
        if reserve is not None and not reserve.hold():
            log.warning("No room for the reserve of %d bytes in %s", config.storage_reserve, place.storage)
        self.pump = Pump(store, broker, reserve, config.checkpoint, self.soon, self.failed.set)
        recall(store, broker, remembered)
        return broker

    async def start(self) -> None:
        """Accept connections on the sockets."""
        self.loop.set_exception_handler(_on_fault)
        for sock in self._sockets:
            # asyncio accepts as many in one turn of its loop as may wait, before it tells us of one.
            self._servers.append(
                await self.loop.create_server(
                    partial(Connection, self, listener_of(sock)), sock=sock, backlog=ACCEPT
                )
            )
            sock.listen(BACKLOG)
        self.alarm.set()
        self._tell_monitor()

    async def drain(self, deadline: float) -> None:
        """Accept no more, send what is owed, close without an ERROR; un-acked messages go back to their queues.
        After ``deadline`` seconds whoever is still there is cut off.
        """
        if self.failed.is_set():
            # What is owed can never be paid: an ERROR may still arrive, more is not to be waited for.
            deadline = min(deadline, self.linger)
        end = self.time() + deadline
        self.draining = True
        for server in self._servers:
            server.close()
        if self._monitor is not None:
            self._monitor.cancel()
        self.alarm.stop()
        for connection in list(self.connections.values()):
            connection.quit()
        self.flush()
        self._empty.clear()
        if self.connections:
            try:
                await asyncio.wait_for(self._empty.wait(), deadline)
            except TimeoutError:
                log.warning("Cutting off %d connections", len(self.connections))
                for connection in list(self.connections.values()):
                    if connection.transport is not None:
                        connection.transport.abort()
                await self._empty.wait()
        for task in list(self._logins):
            task.cancel()
        self._hashing.shutdown(wait=True, cancel_futures=True)
        if self.pump is not None:
            await self.pump.close(max(0.0, end - self.time()))
        if self._lock is not None:
            self._lock.release()

    def reload(self, config: Config, users: Users | None) -> list[str]:
        """Take a new configuration and users; return the names of the options that changed and took effect.

        Connections that are open keep the limits they came with.
        """
        old = self.config
        changed = [name for name in type(config).model_fields if getattr(old, name) != getattr(config, name)]
        self.config = config
        self._users = users
        self._settings = _settings(config)
        self.linger = config.linger
        self.broker.adjust(_rules(config))
        if old.monitor_interval != config.monitor_interval:
            if self._monitor is not None:
                self._monitor.cancel()
            self._tell_monitor()
        # There may be more memory now than producers wait for.
        self.soon()
        return changed

    # What connections call

    def admit(self, connection: Connection) -> Refused | None:
        """Count a new connection; what to tell it when there are too many."""
        address = connection.address
        count = self._addresses.get(address, 0) + 1
        self._addresses[address] = count
        self._open.add(connection)
        total = len(self._open)
        config = self.config
        most = connections_that_fit(config.max_connections)
        reason = "max-connections" if most == config.max_connections else "the system's limit of open files"
        if len(self.connections) >= most + SURPLUS:
            connection.abort()
        if total > most:
            return Refused(
                "Too many connections",
                where="the server",
                rule=f"This server takes {most} connections ({reason})",
                mend="Close connections that are not used, or ask the administrator to raise that option.",
            )
        if count > config.max_connections_per_address > 0:
            return Refused(
                "Too many connections from your address",
                where=address,
                rule=f"This server takes {config.max_connections_per_address} connections from an address"
                " (max-connections-per-address)",
                mend="Close connections that are not used, or ask the administrator to raise that option.",
            )
        return None

    def session(self, connection: Connection) -> Session:
        """A session for a new connection."""
        session = Session(
            self.broker, self._settings[connection.listener], uuid4().hex, self.time(), self._dirty
        )
        session.local = is_loopback(connection.address)
        if self.config.debug:
            session.trace = []
        self.connections[session] = connection
        connection_log.debug(
            "Connection from %s", connection.address, extra={"event": "opened", "connection": session.id}
        )
        return session

    def forget(self, connection: Connection, problem: Exception | None) -> None:
        """A connection ended."""
        session = connection.session
        assert session is not None
        self.connections.pop(session, None)
        self.leave(connection)
        connection_log.info(
            "Disconnecting %s%s",
            connection.address,
            f" ({problem})" if problem else "",
            extra={"event": "disconnected", "connection": session.id, "address": connection.address},
        )
        self.soon()
        if not self.connections:
            self._empty.set()

    def leave(self, connection: Connection) -> None:
        """``connection`` counts no more: it ended, or only lingers. May be called again."""
        self.producers.waive(connection)
        if connection not in self._open:
            return
        self._open.discard(connection)
        left = self._addresses[connection.address] - 1
        if left:
            self._addresses[connection.address] = left
        else:
            del self._addresses[connection.address]

    def soon(self) -> None:
        """Have all that sessions wrote in this loop turn sent at its end, one write a socket."""
        if self._scheduled:
            return
        if (
            self._dirty
            or self._resting
            or self.producers.waiting
            or self.producers.choked
            or self.pump is not None
            or self.broker.deadlines.sooner
        ):
            self._scheduled = True
            self.loop.call_soon(self.flush)

    def flush(self) -> None:
        """Send what sessions have to say, and read producers again when there is room."""
        self._scheduled = False
        if self.broker.deadlines.sooner:
            self.broker.deadlines.sooner = False
            self.alarm.set()
        connections = self.connections
        waiting = self.producers.waiting
        dirty = self._dirty[:]
        self._dirty.clear()
        for session in dirty:
            session.queued = False
            connection = connections.get(session)
            if connection is not None:
                try:
                    connection.flush()
                    if connection in waiting and session.deliveries:
                        # It was given messages meanwhile, and must be heard when it acknowledges them.
                        self.producers.free(connection)
                except Exception:
                    # Whatever is wrong with one, the others must not wait for it.
                    connection_log.exception(
                        "A fault of the server ends a connection", extra={"event": "fault"}
                    )
                    connection.abort()
        self.producers.settle()
        if self.pump is not None:
            self.pump.kick()
        if self._resting:
            resting = self._resting
            self._resting = []
            for connection in resting:
                connection.release(TURN)
        if self._dirty:
            self.soon()

    def rest(self, connection: Connection) -> None:
        """Read ``connection`` again when all that is to be sent now was sent."""
        self._resting.append(connection)

    def authenticate(self, connection: Connection) -> None:
        """Check a session's login in a thread; the connection is not read meanwhile."""
        task = self.loop.create_task(self._authenticate(connection))
        self._logins.add(task)
        task.add_done_callback(self._logins.discard)

    async def _authenticate(self, connection: Connection) -> None:
        session = connection.session
        if session is None:
            return
        welcome = False
        if self._users is not None:
            welcome = await self.loop.run_in_executor(
                self._hashing, self._users.check, session.login, session.passcode
            )
        if not welcome:
            await asyncio.sleep(WRONG_LOGIN)
        if connection.session is session:
            connection.release(LOGIN)
            session.authenticated(welcome, self.time())
            connection.wake()

    def _tell_monitor(self) -> None:
        interval = self.config.monitor_interval
        if interval > 0 and not self.draining:
            if monitor.report(self.broker):
                self.soon()
            self._monitor = self.loop.call_later(interval, self._tell_monitor)


def _on_fault(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What the loop has nobody to tell. The system's refusals (no file left for a connection) are no bugs."""
    problem = context.get("exception")
    if isinstance(problem, OSError):
        log.warning("%s: %s", context.get("message"), problem, extra={"event": "fault"})
    else:
        loop.default_exception_handler(context)


def _rules(config: Config) -> Rules:
    return Rules(
        bare=config.bare_destination,
        deadletter=config.deadletter,
        max_redeliveries=config.max_redeliveries,
        max_durables=config.max_durables,
        max_queues=config.max_queues,
        max_scheduled=config.max_scheduled,
        idle_queues=config.idle_queues,
        lag=config.slow_subscriber_limit,
        memory_limit=config.memory_limit,
        policies=policies_of(config),
    )


def _settings(config: Config) -> list[Settings]:
    """By listener: that of host and port, then those of ``listeners``."""
    settings = [_settings_of(config, config.strict, config.server_header)]
    for each in config.listeners:
        strict = config.strict if each.strict is None else each.strict
        header = config.server_header if each.server_header is None else each.server_header
        settings.append(_settings_of(config, strict, header))
    return settings


def _settings_of(config: Config, strict: bool, server_header: str) -> Settings:
    return Settings(
        server=server_header or NAME,
        authenticate=config.auth,
        strict=strict,
        before_login=Limits(config.max_body_before_login, config.max_headers, config.max_header_bytes),
        limits=Limits(config.max_body, config.max_headers, config.max_header_bytes),
        heart_beat=config.heart_beat,
        login_timeout=config.login_timeout,
        prefetch=config.prefetch,
        prefetch10=config.prefetch_stomp10,
        max_subscriptions=config.max_subscriptions,
        max_transactions=config.max_transactions,
        max_transaction_frames=config.max_transaction_frames,
        max_transaction_bytes=config.max_transaction_bytes,
        lag=config.slow_subscriber_limit,
        management=config.management,
    )
