"""A running server: its connections, a change of its terms, the monitor, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from stompserver import monitor
from stompserver.server.alarm import Alarm
from stompserver.server.build import Parts
from stompserver.server.carrier import Carrier
from stompserver.server.connection import Connection
from stompserver.server.door import Door, Place
from stompserver.server.listeners import accept, listener_of, remove_unix
from stompserver.server.log_rate import LogRate
from stompserver.server.logins import Logins
from stompserver.server.origin import origin_of
from stompserver.server.producers import Producers
from stompserver.server.quotas import Quotas
from stompserver.server.roll import Roll
from stompserver.server.spread import Spread
from stompserver.server.strangers import Strangers
from stompserver.server.terms import Terms
from stompserver.server.turn import Turn
from stompserver.session.principal import Principal
from stompserver.session.roster import Roster
from stompserver.session.session import Session
from stompserver.session.talk import Talk

if TYPE_CHECKING:
    from stompserver.security.account import Source
    from stompserver.server.audit import Audit
    from stompserver.server.entrance import Entrance
    from stompserver.server.renewal import Renewal
    from stompserver.server.tls import Handshakes

log = logging.getLogger("stompserver")
connection_log = logging.getLogger("stompserver.connection")

INTERVAL: Final = 60.0
"""Seconds between two looks at the files of certificates: certbot and Kubernetes tell nobody of a change."""

MOST_DISCONNECTS: Final = 1000
"""Lines about connections of an address that end, within LogRate's window."""


class Server:
    """Serves the broker of ``parts`` on sockets that are bound already, in the loop that runs. It owns the parts from
    now on: ``drain`` closes them. ``renewal`` has the certificates of listeners with TLS; where it is None and there
    are such, they are loaded here. Raises ConfigError.

    ``failed`` is set when it must end with a non-zero code. Several may run in one loop, each with parts of its own.
    """

    def __init__(
        self,
        parts: Parts,
        terms: Terms,
        users: Source | None,
        sockets: Sequence[socket.socket],
        renewal: Renewal | None = None,
    ) -> None:
        self.terms = terms
        self.failed = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.time = self.loop.time
        self.broker = parts.broker
        self.connections: dict[Talk, Connection] = {}
        self.roll = Roll(self.time)
        self.draining = False
        self.audit: Audit | None = None
        """Where what administrators have to answer for is written down."""
        self.pump = parts.pump(self.soon, self.failed.set)
        self.alarm = Alarm(self.broker, self.loop, self.soon)
        self.producers = Producers(self.broker, self.pump, self.connections, self.soon)
        self.strangers = Strangers(terms.memory_before_login, self.time)
        self.door = Door(terms.max_connections, terms.max_connections_per_address, self.strangers.make_room)
        self.spread = Spread(self.loop)
        self.logins = Logins(users, terms.max_logins_per_address, terms.login_timeout, self.spread)
        self.quotas = Quotas(terms.allowance, terms.allowances, self.time)
        self.log_rate = LogRate(self.loop)
        self.entrances: set[Entrance] = set()
        """Connections that have not come to STOMP yet."""
        self.renewal: Renewal | None = renewal
        self.handshakes: Handshakes | None = None
        """Both are None where no listener has TLS."""
        if any(front.wanted is not None for front in terms.fronts):
            self._secure()
        self._roster = Roster(self.broker.number)
        self.turn = Turn(
            self._roster.dirty,
            self.connections,
            self.producers,
            self.pump,
            self.alarm,
            self.broker.deadlines,
            self.broker.notes,
        )
        self._parts = parts
        self._sockets = sockets
        self._servers: list[asyncio.Server] = []
        self._empty = asyncio.Event()
        self._monitor: asyncio.TimerHandle | None = None
        self._look: asyncio.TimerHandle | None = None

    def _secure(self) -> None:
        # Imported where there is TLS: most servers of a test, or of one machine, have none.
        from stompserver.server.renewal import Renewal
        from stompserver.server.tls import Handshakes

        if self.renewal is None:
            self.renewal = Renewal(self.terms.fronts)
        self.handshakes = Handshakes(self.loop, self.terms.tls_handshakes)

    async def start(self) -> None:
        """Listen on the sockets, and accept connections. Raises ListenError."""
        for sock in self._sockets:
            number = listener_of(sock)
            made: Callable[[], asyncio.BaseProtocol] = partial(Connection, self, number)
            if not self.terms.fronts[number].plain:
                from stompserver.server.entrance import Entrance

                made = partial(Entrance, self, number, partial(self._connection, number))
            self._servers.append(await accept(sock, made))
        if self.renewal is not None:
            self.renewal.tell()
            self._look_at_certificates()
        self.alarm.set()
        self._tell_monitor()

    def _connection(self, listener: int, place: Place | None, certified: Principal | None) -> Connection:
        return Connection(self, listener, place, None, certified)

    def soon(self) -> None:
        """Have what is to be done at the end of a loop turn be done at the end of this one."""
        self.turn.soon()

    async def drain(self, deadline: float) -> None:
        """Accept no more, send what is owed, close without an ERROR; un-acked messages go back to their queues.
        After ``deadline`` seconds whoever is still there is cut off. Then the parts are closed.
        """
        if self.failed.is_set():
            # What is owed can never be paid: an ERROR may still arrive, more is not to be waited for.
            deadline = min(deadline, self.terms.linger)
        end = self.time() + deadline
        self.draining = True
        remove_unix(self._sockets)
        for server in self._servers:
            server.close()
        for entrance in list(self.entrances):
            entrance.abort()
        if self._look is not None:
            self._look.cancel()
        if self._monitor is not None:
            self._monitor.cancel()
        self.alarm.stop()
        # No time passes any more, and a COMMIT that is half done has a RECEIPT to give.
        self.broker.slices.finish()
        for connection in list(self.connections.values()):
            connection.quit()
        self.turn.flush()
        self._empty.clear()
        if self.connections:
            try:
                await asyncio.wait_for(self._empty.wait(), deadline)
            except TimeoutError:
                log.warning("Cutting off %d connections", len(self.connections))
                for connection in list(self.connections.values()):
                    connection.abort()
                await self._empty.wait()
        self.logins.close()
        self.log_rate.close()
        self.broker.slices.finish()
        if self.pump is not None:
            await self.pump.close(max(0.0, end - self.time()))
        self._parts.release()

    def reload(self, terms: Terms, users: Source | None) -> None:
        """Take new terms and users. Connections that are open keep the limits they came with."""
        old = self.terms
        self.terms = terms
        if old.permissions is not None and old.permissions.same(terms.permissions):
            # Nobody need be asked again.
            terms.permissions = old.permissions
        self.logins.users = users
        self.logins.few = terms.max_logins_per_address
        self.logins.patience = terms.login_timeout
        self.strangers.share = terms.memory_before_login
        self.door.most = terms.max_connections
        self.door.most_per_address = terms.max_connections_per_address
        self.quotas.adjust(terms.allowance, terms.allowances)
        self.broker.adjust(terms.rules)
        if self.renewal is not None and self.handshakes is not None:
            self.handshakes.most = terms.tls_handshakes
            self.renewal.reload(terms.fronts)
        if terms.permissions is not old.permissions:
            # Unlike limits: a right that was taken away ends at once.
            for session, connection in list(self.connections.items()):
                connection.entitle(session)
        if old.monitor_interval != terms.monitor_interval:
            if self._monitor is not None:
                self._monitor.cancel()
            self._tell_monitor()
        # There may be more memory now than producers wait for.
        self.soon()

    # What connections call

    def session(self, connection: Connection) -> Talk:
        """A session for a new connection."""
        connection.id = os.urandom(16).hex()
        session = Session(
            self.broker,
            self._roster,
            self.terms.settings[connection.listener],
            connection.id,
            connection.since,
            connection.local,
            self.terms.trace,
            connection.certified,
        )
        if self.terms.permissions is not None:
            session.entitle(self.entitled(session.principal, connection.address))
        self.connections[session] = connection
        self.roll.add(connection)
        connection_log.debug(
            "Connection from %s", connection.address, extra={"event": "opened", "connection": connection.id}
        )
        return session

    def entitled(self, principal: Principal, address: str) -> Principal:
        """The same with what it may do from that address."""
        permissions = self.terms.permissions
        if permissions is not None:
            return permissions.rights(principal.login, address, principal.groups)
        return principal

    def web(self, connection: Connection) -> Carrier:
        """What carries STOMP for a client that begins with HTTP."""
        # With the first of them: it takes a library, which most servers never need.
        from stompserver.server.websocket import WebSocket

        settings = self.terms.settings[connection.listener]
        before = settings.before_login
        return WebSocket(
            self.terms.webs[connection.listener],
            connection.local,
            settings.strict,
            before.max_body + before.max_header_bytes,
            partial(self._tell_refused, connection.address),
        )

    def largest_frame(self, connection: Connection) -> int:
        """Bytes that a frame of a client may have that is logged in."""
        limits = self.terms.settings[connection.listener].limits
        return limits.max_body + limits.max_header_bytes

    def _tell_refused(self, address: str, what: str, why: str) -> None:
        if self.log_rate.allows(origin_of(address), "http_refused", MOST_DISCONNECTS, address):
            connection_log.info(
                "%s from %s was answered with %s",
                what,
                address,
                why,
                extra={"event": "http_refused", "address": address},
            )

    def forget(self, connection: Connection, problem: Exception | None) -> None:
        """A connection ended."""
        session = connection.session
        assert session is not None
        self.connections.pop(session, None)
        self.roll.remove(connection)
        self.producers.waive(connection)
        address = connection.address
        if self.audit is not None:
            self.audit.note("disconnected", address, connection.id, session.principal_login)
        if self.log_rate.allows(origin_of(address), "disconnected", MOST_DISCONNECTS, address):
            connection_log.info(
                "Disconnecting %s%s",
                address,
                f" ({problem})" if problem else "",
                extra={"event": "disconnected", "connection": connection.id, "address": address},
            )
        self.soon()
        if not self.connections:
            self._empty.set()

    def _look_at_certificates(self) -> None:
        """See whether they changed, or expire, and again in a while."""
        assert self.renewal is not None
        self.renewal.look()
        self._look = self.loop.call_later(INTERVAL, self._look_at_certificates)

    def _tell_monitor(self) -> None:
        interval = self.terms.monitor_interval
        if interval > 0 and not self.draining:
            monitor.report(self.broker)
            self.soon()
            self._monitor = self.loop.call_later(interval, self._tell_monitor)
