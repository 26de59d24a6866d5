"""One running server as a service: signals, pid file, users, reload, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from stompserver import __version__
from stompserver.config import Config, Loaded, values
from stompserver.config.contents import SECTIONS
from stompserver.config.front import TLS
from stompserver.config.options import OPTIONS, attribute_of
from stompserver.config.sections import fronts_fit
from stompserver.errors import ConfigError
from stompserver.server.build import build
from stompserver.server.listeners import listener_of, name_of
from stompserver.server.log_rate import LogRate
from stompserver.server.policies import changes, circles
from stompserver.server.process import collector, heap, logs
from stompserver.server.process.process import PidFile, Readiness, StartError
from stompserver.server.server import Server
from stompserver.server.terms import Terms

if TYPE_CHECKING:
    from stompserver.security.account import Source
    from stompserver.server.audit import Audit
    from stompserver.server.renewal import Renewal

logger = logging.getLogger("stompserver")

ENDED_EARLY = 1
# A server that overruns its own deadline is given this much more before it is left behind (seconds).
GRACE = 1.0


LOOK: Final = 2.0
"""Seconds between two looks whether a file of accounts has changed."""

MOST_COMPLAINTS: Final = 20
"""Lines about places of accounts within LogRate's window."""


class Serving(Protocol):
    """What a service runs; ``failed`` is set when it cannot go on."""

    failed: asyncio.Event
    audit: Audit | None

    async def start(self) -> None: ...
    async def drain(self, deadline: float, /) -> None: ...
    def reload(self, terms: Terms, users: Source | None, /) -> None: ...


MakeServer = Callable[[Config, "Source | None", Sequence[socket.socket]], Awaitable[Serving]]


async def make_server(
    config: Config,
    users: Source | None,
    sockets: Sequence[socket.socket],
    renewal: Renewal | None = None,
) -> Server:
    """A server of these options, with its store open. Raises StoreError and its kin."""
    return Server(await build(config), Terms(config), users, sockets, renewal)


class Service:
    """Runs a server until a signal or its failure ends it.

    SIGTERM and SIGINT end it within shutdown-timeout, a second one at once (exit code 1). SIGHUP opens the log
    anew and takes over what changed in the configuration and among the users. What is the process's (signals, what
    the loop has nobody to tell, the garbage collector, the heap) is set here and nowhere else.
    """

    def __init__(
        self, loaded: Loaded, reread: Callable[[], Loaded], make_server: MakeServer = make_server
    ) -> None:
        self.config = loaded.config
        self._reread = reread
        self._make_server = make_server
        self._pid_file = PidFile(loaded.config.pidfile) if loaded.config.pidfile else None
        self._terminal = os.isatty(2)
        self._stop = asyncio.Event()
        self._hang_up = asyncio.Event()
        self._users: Source | None = None
        self._files: list[Path] = []
        """Of accounts, that are read again when they change."""
        self._seen: list[tuple[int, ...]] = []
        self._rate: LogRate | None = None
        self._audit: Audit | None = None
        self._reading = asyncio.Lock()
        """What was read for another configuration, or of older files, must not be taken over after newer."""
        self._started = False
        self._closing: set[asyncio.Task[None]] = set()

    async def run(self, sockets: Sequence[socket.socket], readiness: Readiness) -> int:
        """Serve on these sockets; the result is the exit code. Raises StartError, ConfigError."""
        self._handle_signals()
        asyncio.get_running_loop().set_exception_handler(_on_fault)
        try:
            if self._pid_file and (note := self._pid_file.acquire()):
                logger.warning(note, extra={"event": "pid_file"})
            await self._open_audit(None, self.config)
            self._users = await self._load_users(self.config)
            server = await self._make_server(self.config, self._users, sockets)
            if self._audit is not None:
                server.audit = self._audit
            await server.start()
            with collector.relieved():
                heap.keep()
                _announce(sockets, self.config)
                self._started = True
                self._note("started", version=__version__, process=os.getpid())
                readiness.ready()
                return await self._serve(server)
        finally:
            await self._end_accounts()
            if self._audit is not None:
                self._note("stopped")
                await asyncio.to_thread(self._audit.close)
            if self._pid_file:
                self._pid_file.release()
            self._ignore_signals()

    async def _end_accounts(self) -> None:
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        if self._users is not None:
            await self._users.close()
        if self._rate is not None:
            self._rate.close()

    async def _serve(self, server: Serving) -> int:
        watching = asyncio.get_running_loop().create_task(self._watch(server))
        try:
            while not self._stop.is_set() and not server.failed.is_set():
                await _any_of(self._stop, self._hang_up, server.failed)
                if self._hang_up.is_set():
                    self._hang_up.clear()
                    async with self._reading:
                        await self._reload(server)
        finally:
            watching.cancel()
        seconds = self.config.shutdown_timeout
        try:
            await asyncio.wait_for(server.drain(seconds), seconds + GRACE)
        except TimeoutError:
            logger.warning(
                "not everything could be finished within %g s", seconds, extra={"event": "overrun"}
            )
        if server.failed.is_set():
            logger.error("stopped by a failure, see above", extra={"event": "failed"})
            return 1
        logger.info("stopped", extra={"event": "stopped"})
        return 0

    async def _reload(self, server: Serving) -> None:
        """Take over what changed; when anything is wrong, everything stays as it is."""
        self._reopen_log()
        try:
            fresh = self._reread()
            config, taken, waiting = self._merged(fresh.config)
            users = await self._load_users(config)
        except ConfigError as error:
            text = "the configuration was not read again, the old one stays in force: %s"
            logger.error(text, error, extra={"event": "reload_failed"})
            self._note("reload_failed", reason=str(error))
            await self._open_audit(server, self.config)
            return
        for warning in [*fresh.warnings, *circles(config)]:
            logger.warning(warning, extra={"event": "configuration"})
        await self._take(server, Terms(config), users)
        policies = changes(self.config, config)
        for line in policies:
            logger.info("%s", line, extra={"event": "policy"})
        rights: list[str] = []
        if self.config.permissions or config.permissions:
            from stompserver.server import permissions

            rights = list(permissions.changes(self.config, config))
            for line in rights:
                logger.info("%s", line, extra={"event": "permission"})
        await self._open_audit(server, config)
        changed = {key: _shown(key, config) for key in taken}
        self._note("reloaded", changed=changed, policies=policies, permissions=rights, waiting=waiting)
        self.config = config
        logs.configure(level_of(config), config.log_format)
        if waiting:
            text = "changed, but only a restart puts it in force: %s"
            logger.warning(text, ", ".join(waiting), extra={"event": "restart_needed", "options": waiting})
        text = "configuration and users read again; changed: %s"
        logger.info(text, ", ".join(taken) or "nothing", extra={"event": "reloaded", "options": taken})

    def _merged(self, fresh: Config) -> tuple[Config, list[str], list[str]]:
        """The configuration in force with what may change at run time taken from ``fresh``; the keys of what was
        taken, and of what else is different.
        """
        changed = [
            key
            for key in (*OPTIONS, *SECTIONS)
            if getattr(fresh, attribute_of(key)) != getattr(self.config, attribute_of(key))
        ]
        taken = [key for key in changed if self._may_reload(key, fresh)]
        config = self._with(fresh, taken)
        if not fronts_fit(config):
            # What waits for a restart, such as a listener that is to go, still needs what it has.
            rest = [key for key in taken if key != "listeners"]
            taken = [key for key in rest if key not in OPTIONS or OPTIONS[key].group != TLS]
            config = self._with(fresh, taken)
        waiting = [key for key in changed if key not in taken]
        return config, taken, waiting

    def _with(self, fresh: Config, keys: list[str]) -> Config:
        return self.config.model_copy(
            update={attribute_of(key): getattr(fresh, attribute_of(key)) for key in keys}
        )

    def _may_reload(self, key: str, fresh: Config) -> bool:
        if key == "listeners":  # the sockets stay as they are
            return [each.address for each in fresh.listeners] == [
                each.address for each in self.config.listeners
            ]
        return key in ("policies", "users", "groups", "permissions") or OPTIONS[key].reload

    def _reopen_log(self) -> None:
        if not self.config.daemon:
            return
        try:
            logs.open_file(self.config.logfile)
        except OSError as error:
            text = "cannot open the log %s anew, the old one goes on: %s"
            logger.error(text, self.config.logfile, error.strerror, extra={"event": "log_failed"})

    async def _open_audit(self, server: Serving | None, config: Config) -> None:
        """Open the audit, or open it anew; where that fails the old one goes on. At the start it is an error."""
        audit = self._audit
        try:
            if config.audit is None:
                self._audit = None
            elif audit is not None:
                await asyncio.to_thread(audit.reopen, config.audit)
            else:
                from stompserver.server.audit import Audit

                self._audit = Audit(config.audit, asyncio.get_running_loop())
        except OSError as error:
            text = f"cannot open the audit {config.audit}: {error.strerror}"
            if self._started:
                logger.error("%s", text, extra={"event": "audit_failed"})
                return
            raise StartError(text) from None
        if audit is not self._audit and server is not None:
            server.audit = self._audit
            if self._audit is None and audit is not None:
                audit.note("stopped", reason="the option audit is empty now")
                await asyncio.to_thread(audit.close)

    def _note(self, event: str, **fields: object) -> None:
        if self._audit is not None:
            self._audit.note(event, **fields)  # type: ignore[arg-type]  # address and the like are not among them

    async def _load_users(self, config: Config) -> Source | None:
        if not config.auth:
            self._files = []
            return None
        from stompserver.server.accounts import files_of, load

        files = files_of(config)
        # As they are before they are read: what changes meanwhile is read again.
        seen = await asyncio.to_thread(_states, files)
        users = await load(config, self._complain)
        self._seen, self._files = seen, files
        return users

    def _complain(self, text: str) -> None:
        """Log what is wrong with a place of accounts, which each login may find again."""
        if self._rate is None:
            self._rate = LogRate(asyncio.get_running_loop())
        if self._rate.allows("the accounts", "accounts", MOST_COMPLAINTS, "the accounts"):
            logger.warning("%s", logs.shortened(text, 500), extra={"event": "accounts"})

    async def _watch(self, server: Serving) -> None:
        """Take over files of accounts that change, without a signal."""
        while True:
            await asyncio.sleep(LOOK)
            if not self._files:
                continue
            async with self._reading:
                await self._look(server)

    async def _look(self, server: Serving) -> None:
        """Take over what changed, if anything did."""
        states = await asyncio.to_thread(_states, self._files)
        if states == self._seen:
            return
        self._seen = states
        try:
            users = await self._load_users(self.config)
        except (ConfigError, OSError) as error:
            text = "a file of accounts changed, and cannot be used; the old one stays in force: %s"
            logger.error(text, error, extra={"event": "reload_failed"})
            self._note("reload_failed", reason=str(error))
            return
        await self._take(server, Terms(self.config), users)
        logger.info("a file of accounts changed, and was read again", extra={"event": "reloaded"})
        self._note("reloaded", accounts=[str(path) for path in self._files])

    async def _take(self, server: Serving, terms: Terms, users: Source | None) -> None:
        """Have the server use these from now on, and close what the old ones had open when nobody waits for it."""
        old, self._users = self._users, users
        server.reload(terms, users)
        if old is not None:
            closing = asyncio.get_running_loop().create_task(_close_later(old, self.config.accounts_timeout))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._on_stop, signal.SIGTERM)
        loop.add_signal_handler(signal.SIGINT, self._on_stop, signal.SIGINT)
        loop.add_signal_handler(signal.SIGHUP, self._on_hang_up)

    @staticmethod
    def _ignore_signals() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)

    def _on_stop(self, number: signal.Signals) -> None:
        name = number.name.removeprefix("SIG")
        if self._stop.is_set():
            logger.warning("%s signal received again; ending at once", name, extra={"event": "aborted"})
            if self._pid_file:
                self._pid_file.release()
            # Not sys.exit: whatever hangs must not hold the process.
            os._exit(ENDED_EARLY)
        seconds = self.config.shutdown_timeout
        text = "%s signal received; ending within %g s"
        logger.info(text, name, seconds, extra={"event": "stopping", "signal": number.name})
        self._stop.set()

    def _on_hang_up(self) -> None:
        if self._terminal and not os.isatty(2):
            # Not somebody's wish to reload: the terminal was closed over a server in the foreground.
            self._on_stop(signal.SIGHUP)
        else:
            self._hang_up.set()


def _shown(key: str, config: Config) -> str:
    """The value of an option, for the audit. No option is a secret: those are in files."""
    if key in SECTIONS:
        return "changed"
    return values.as_text(getattr(config, attribute_of(key)))


def _states(files: Sequence[Path]) -> list[tuple[int, ...]]:
    """By which a file is known to be another one, or changed."""
    found: list[tuple[int, ...]] = []
    for path in files:
        try:
            now = path.stat()
            found.append((now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns))
        except OSError as problem:
            found.append((problem.errno or 0,))
    return found


async def _close_later(users: Source, seconds: float) -> None:
    """Close ``users`` when all that they were asked is answered."""
    try:
        await asyncio.sleep(seconds)
    finally:
        await users.close()


def level_of(config: Config) -> str:
    """The log level in force: -d wins."""
    return "debug" if config.debug else config.log_level


def _on_fault(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What the loop has nobody to tell. The system's refusals (no file left for a connection) are no bugs."""
    problem = context.get("exception")
    if isinstance(problem, OSError):
        logger.warning("%s: %s", context.get("message"), problem, extra={"event": "fault"})
    else:
        loop.default_exception_handler(context)


def _announce(sockets: Sequence[socket.socket], config: Config) -> None:
    for each in sockets:
        number = listener_of(each)
        name = name_of(each, config)
        tls = config.of_listener(number).tls
        words = [name, {"no": "", "yes": "TLS", "detect": "TLS or plain"}[tls]]
        shown = f" ({', '.join(filter(None, words))})" if any(words) else ""
        fields: dict[str, object] = {"event": "listening"}
        if name:
            fields["listener"] = name
        if tls != "no":
            fields["tls"] = tls
        if each.family == socket.AF_UNIX:
            path = each.getsockname()
            text = "Stomp protocol handler starting on the Unix socket %s%s"
            logger.info(text, path, shown, extra=fields | {"unix": path})
            continue
        host, port = each.getsockname()[:2]
        fields |= {"host": host, "port": port}
        logger.info("Stomp protocol handler starting on %s port %d%s", host, port, shown, extra=fields)


async def _any_of(*events: asyncio.Event) -> None:
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
