"""Logins: passcodes are compared in threads of their own, and what is wrong is answered late.

A login that was right before, or whose passcode is in the file as it is, is answered at once and waits for nobody.
Each other one needs a hash, which is made to be slow, so there is a line:

- The same login and passcode, sent by many clients, is one hash.
- A few of each origin are *promised* an answer: "Invalid Login" when they are wrong. All others are told that the
  server is busy, unless they are found right in time.
- Both get their answer one second after they came, whatever happened until then. So neither what a client is told,
  nor when, depends on whether the login exists, or on what its hash costs.
- Those that can be right are hashed before those that cannot, because their login does not exist. The latter are
  hashed when nothing else is to be done: what the server is busy with tells nothing either.
- Where accounts are elsewhere, too (HTTP, LDAP, a plug-in), what no hash makes right is asked for there, some at a
  time. Who was found right there before, however long ago, is asked for first and always promised an answer.
- Who has left is not hashed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from stompserver.errors import Refused
from stompserver.server.hang_up import is_gone, sends_no_more
from stompserver.server.login_line import LoginLine
from stompserver.server.origin import origin_of
from stompserver.server.spread import Spread
from stompserver.session.principal import Principal

if TYPE_CHECKING:
    from stompserver.security.account import Source

log = logging.getLogger("stompserver")

WRONG_LOGIN: Final = 1.0
"""Seconds that the answer to a wrong login takes."""

THREADS: Final = 2
"""Hashing is made to be slow: it has few threads, so that logins cannot take the machine from clients that are in."""

ASKED: Final = 32
"""Logins that are asked for elsewhere at once: such a question is mostly waiting."""

NICE: Final = 5
"""How much these threads give way to the others of the process and the machine, where the system can tell threads:
they get a third of what others get, where there is not enough for all.
"""

COST: Final = 0.05
"""Seconds that a hash is taken to need until some were computed."""

EASED: Final = 0.9
"""How fast an expensive hash is forgotten, by each one that is cheaper."""

FEWEST_PROMISED: Final = 16
"""Answers promised at once in all, however slow the machine is, or busy: who has so many wrong logins, such as a
test, is told that of each.
"""

MOST_PROMISED: Final = 64
"""Answers promised at once in all, however fast the machine is."""

Answer = Callable[[Principal | None, Refused | None], None]
"""Takes whose the login is; or why that was not found out; or neither: it is wrong."""


class Client(Protocol):
    """Who waits for the answer."""

    address: str

    def fileno(self) -> int:
        """The socket's number; negative when it is closed."""

    def abort(self) -> None:
        """Cut the connection without a word."""


class Claim:
    """A login and passcode to be checked, and all clients that wait for what comes of it."""

    __slots__ = (
        "address", "counted", "done", "login", "origin", "passcode", "problem", "promised", "real", "token",
        "waiting", "working",
    )  # fmt: skip

    def __init__(
        self, token: bytes, login: str | None, passcode: str | None, origin: str, real: bool, promised: bool
    ) -> None:
        self.token = token
        self.login = login or ""
        self.passcode = passcode
        self.origin = origin
        """Where the first of them came from."""
        self.real = real
        """Whether it can be right."""
        self.promised = promised
        self.counted = False
        """Whether its promise counts as one of its origin's."""
        self.working = False
        self.done = False
        """Whether it was found to be wrong, or there is a problem."""
        self.problem: Refused | None = None
        """Why nobody knows whether it is right."""
        self.address = ""
        self.waiting: set[Waiting] = set()


class Waiting:
    """One client that waits for what comes of its login; ``cancel`` when it does so no more."""

    __slots__ = ("_logins", "answer", "claim", "client", "late", "timer")

    def __init__(self, logins: Logins, claim: Claim, client: Client, answer: Answer) -> None:
        self._logins = logins
        self.claim = claim
        self.client = client
        self.answer = answer
        self.late = False
        """Whether its time is over and only the hash under way, or promised, is waited for."""
        self.timer: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        """Forget it. May be called again."""
        self._logins.forget(self)


class Logins:
    """Checks logins against ``users``; without any each login is refused. ``few`` is how many of an origin are
    promised an answer, or wait beyond that, at once; ``patience`` how long (s) a promise may take to be kept.
    Answers are given by ``spread``: thousands of logins may have come at the same moment. ``hashes`` counts what was
    computed.
    """

    def __init__(self, users: Source | None, few: int, patience: float, spread: Spread) -> None:
        self.few = few
        self.patience = patience
        self.hashes = 0
        self._users = users
        self._loop = asyncio.get_running_loop()
        self._spread = spread
        self._threads = ThreadPoolExecutor(THREADS, "login", _give_way)
        self._busy = 0
        """Claims that are hashed or asked for."""
        self._questions: set[asyncio.Task[Principal | None]] = set()
        self._known: deque[Claim] = deque()
        """Those that were found right elsewhere before."""
        self._cost = COST
        self._claims: dict[bytes, Claim] = {}
        self._promises: dict[str, int] = {}
        """Claims that are promised an answer, by origin."""
        self._promised: tuple[deque[Claim], deque[Claim]] = (deque(), deque())
        self._others: tuple[LoginLine[Claim], LoginLine[Claim]] = (LoginLine(), LoginLine())
        """Each first those that can be right, then the rest."""
        self._waiting: set[Waiting] = set()
        self._closed = False

    @property
    def users(self) -> Source | None:
        """Who may log in."""
        return self._users

    @users.setter
    def users(self, users: Source | None) -> None:
        if users is not None and self._users is not None:
            users.remember(self._users)
        self._users = users
        # What was found wrong may be right from now on.
        self._claims.clear()

    def check(
        self, client: Client, login: str | None, passcode: str | None, answer: Answer
    ) -> Waiting | None:
        """Call ``answer`` later, unless what this returns is cancelled."""
        users = self._users
        known = users.recognise(login, passcode) if users is not None else None
        if known is not None:
            self._spread.call(answer, known, None)
            return None
        token = users.token(login, passcode) if users is not None else os.urandom(16)
        claim = self._claims.get(token)
        if claim is None:
            claim = self._claims[token] = self._new_claim(token, login, passcode, origin_of(client.address))
            claim.address = client.address
        waiting = Waiting(self, claim, client, answer)
        waiting.timer = self._loop.call_later(WRONG_LOGIN, self._due, waiting)
        claim.waiting.add(waiting)
        self._waiting.add(waiting)
        self._work()
        return waiting

    def forget(self, waiting: Waiting) -> None:
        """That client waits no more."""
        if waiting not in self._waiting:
            return
        self._waiting.discard(waiting)
        if waiting.timer is not None:
            waiting.timer.cancel()
        claim = waiting.claim
        claim.waiting.discard(waiting)
        if claim.waiting:
            return
        # What is found wrong is kept as long as somebody waits for it, so that sending it again costs nothing.
        if self._claims.get(claim.token) is claim:
            del self._claims[claim.token]
        self._others[not claim.real].discard(claim)
        claim.passcode = None
        if claim.counted:
            self._promises[claim.origin] -= 1
            if not self._promises[claim.origin]:
                del self._promises[claim.origin]

    def close(self) -> None:
        """Answer no login any more. Returns when the comparisons under way are done."""
        self._closed = True
        for waiting in list(self._waiting):
            self.forget(waiting)
        for question in self._questions:
            question.cancel()
        self._threads.shutdown(wait=True, cancel_futures=True)

    @property
    def _room(self) -> int:
        """Claims that may be promised an answer at once: hashed in half of the time until they are answered."""
        if self._users is not None and self._users.elsewhere:
            # It is mostly others who have the work.
            return MOST_PROMISED
        in_time = THREADS * WRONG_LOGIN / 2
        return min(
            MOST_PROMISED, max(FEWEST_PROMISED, int(in_time / max(self._cost, in_time / MOST_PROMISED)))
        )

    def _new_claim(self, token: bytes, login: str | None, passcode: str | None, origin: str) -> Claim:
        users = self._users
        real = users is not None and users.can_be_right(login, passcode)
        if users is not None and users.elsewhere and users.knew(login, passcode):
            claim = Claim(token, login, passcode, origin, real, True)
            self._known.append(claim)
            return claim
        mine = self._promises.get(origin, 0)
        promised = mine < self.few and sum(self._promises.values()) < self._room
        claim = Claim(token, login, passcode, origin, real, promised)
        if promised:
            claim.counted = True
            self._promises[origin] = mine + 1
            self._promised[not real].append(claim)
        else:
            self._others[not real].add(claim, self.few)
        return claim

    def _work(self) -> None:
        """Give the threads something to do."""
        users = self._users
        while users is not None and self._busy < (ASKED if users.elsewhere else THREADS) and not self._closed:
            claim = self._next()
            if claim is None:
                return
            known = users.recognise(claim.login, claim.passcode)
            if known is not None:
                self._right(claim, known)
                continue
            claim.working = True
            self._busy += 1
            if users.elsewhere and not users.has_hash(claim.login, claim.passcode):
                self._ask(users, claim)
                continue
            self.hashes += 1
            began = self._loop.time()
            future = self._loop.run_in_executor(self._threads, users.check, claim.login, claim.passcode)
            future.add_done_callback(partial(self._hashed, claim, began))

    def _ask(self, users: Source, claim: Claim) -> None:
        """Ask elsewhere."""
        question = self._loop.create_task(users.ask(claim.login, claim.passcode, claim.address))
        self._questions.add(question)
        question.add_done_callback(partial(self._asked, claim))

    def _asked(self, claim: Claim, done: asyncio.Task[Principal | None]) -> None:
        self._questions.discard(done)
        self._busy -= 1
        claim.working = False
        if self._closed or done.cancelled():
            return
        problem = done.exception()
        if problem is not None:
            claim.problem = _unavailable()
        principal = done.result() if problem is None else None
        self._decide(claim, principal)
        self._work()

    def _next(self) -> Claim | None:
        while self._known:
            known = self._known.popleft()
            if self._wanted(known):
                return known
        for promised, others in zip(self._promised, self._others, strict=True):
            while (claim := promised.popleft() if promised else others.take()) is not None:
                if self._wanted(claim):
                    return claim
        return None

    def _wanted(self, claim: Claim) -> bool:
        """Whether somebody still waits for it. Cuts those who cannot be reached any more.

        Who only closed its own half may read the answer, as it does that sends all of its frames at once; it is
        checked if that was promised.
        """
        for waiting in list(claim.waiting):
            number = waiting.client.fileno()
            if is_gone(number):
                self.forget(waiting)
                waiting.client.abort()
            elif claim.promised or not sends_no_more(number):
                return True
        return False

    def _hashed(self, claim: Claim, began: float, done: asyncio.Future[Principal | None]) -> None:
        users = self._users
        failed = not done.cancelled() and done.exception() is None and done.result() is None
        if failed and not self._closed and users is not None and users.elsewhere and claim.waiting:
            self._ask(users, claim)
            return
        self._busy -= 1
        claim.working = False
        if self._closed or done.cancelled():
            return
        problem = done.exception()
        if problem is not None:
            log.error("A login could not be checked", exc_info=problem, extra={"event": "fault"})
        self._cost = max(self._loop.time() - began, self._cost * EASED)
        self._decide(claim, done.result() if problem is None else None)
        self._work()

    def _decide(self, claim: Claim, principal: Principal | None) -> None:
        if principal is not None:
            self._right(claim, principal)
            return
        claim.done = True
        claim.passcode = None
        for waiting in [each for each in claim.waiting if each.late]:
            self._wrong(waiting)

    def _right(self, claim: Claim, principal: Principal) -> None:
        for waiting in list(claim.waiting):
            self.forget(waiting)
            self._spread.call(waiting.answer, principal, None)

    def _wrong(self, waiting: Waiting) -> None:
        """Answer what was promised."""
        self.forget(waiting)
        claim = waiting.claim
        problem = claim.problem or (None if claim.promised else _busy(self.few))
        self._spread.call(waiting.answer, None, problem)

    def _due(self, waiting: Waiting) -> None:
        """A client has waited as long as a wrong login takes."""
        claim = waiting.claim
        if not claim.done and (claim.working or (claim.real and claim.promised)):
            waiting.late = True
            waiting.timer = self._loop.call_later(
                max(0.0, self.patience - WRONG_LOGIN), self._too_late, waiting
            )
        else:
            self._wrong(waiting)

    def _too_late(self, waiting: Waiting) -> None:
        self.forget(waiting)
        self._spread.call(waiting.answer, None, _busy(self.few))


def _busy(few: int) -> Refused:
    return Refused(
        "Too busy to check your login",
        where="headers login and passcode",
        rule=f"This server checks {few} unknown logins of an address at once (max-logins-per-address), and in all as"
        " many as it has time for",
        fix="Connect again in a few seconds. A login that was right before does not wait.",
    )


def _unavailable() -> Refused:
    return Refused(
        "Your login cannot be checked now",
        where="headers login and passcode",
        rule="This server asks for accounts elsewhere (option accounts), and has no answer",
        fix="Connect again in a while, or tell the server's administrator; the log says what is wrong.",
    )


def _give_way() -> None:
    """Let this thread be slower than others. Only Linux has a number for each thread here."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICE)
