"""A client as those see it who do what its frames say: who it is, what it has open, and how to answer it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Final

from stompserver.broker.broker import Action, Broker
from stompserver.broker.subscription import Consumer
from stompserver.broker.topics.unheard import unheard
from stompserver.errors import ClientError
from stompserver.session.by_message import ByMessage
from stompserver.session.dialect import faults
from stompserver.session.dialect.naming import Speaker
from stompserver.session.events import Denied, Event, Warned
from stompserver.session.principal import Principal
from stompserver.session.reply import Reply
from stompserver.session.routes import Routes
from stompserver.session.settings import Settings
from stompserver.session.state import CONNECTED, CONNECTING
from stompserver.session.transactions import Transactions
from stompserver.session.usage import Usage
from stompserver.session.versions import V10, Version
from stompserver.wire.frame import Frame
from stompserver.wire.headers import Text

if TYPE_CHECKING:
    from stompserver.broker.slices import Waiting
    from stompserver.session.renewal import Renewal
    from stompserver.session.roster import Roster


NONE_LAPSED: Final[dict[str, None]] = {}
"""Stands for the names of nobody's deliveries, and is never added to; likewise the next two."""

NO_TWINS: Final[dict[str, list[str]]] = {}

_NONE_TOLERATED: Final[dict[str, int]] = {}

NOTED: Final = 100
"""Events that wait for the shell above which rights that a client has not are counted, and not noted one by one."""


class Occupied(Exception):
    """A frame has to wait, as it came, until what was asked for before is done."""


class Client(Consumer):
    """One connected client: what the commands, the dialect and the roster may know of a session.

    ``id`` is the session's, ``login`` who the client says it is (None: it says nothing), ``account`` who it was found
    to be, with what its account says, and ``principal`` the same with what it may do. ``local`` tells whether it is
    on the server's own machine. ``mark`` is what the names begin with by
    which it settles in 1.2, "" until there is need of any; ``named`` counts names, and ``by_message`` has the message
    for each since the client first settled by that. ``lapsed`` has the names of deliveries whose lease ended, the
    oldest first; ``tolerated`` counts what it did against the rules, by kind. ``twins`` has by name, in 1.0 and 1.1,
    the names of the deliveries that ACK will call so when the one of that name is settled.
    """

    __slots__ = (
        "_made",
        "_transactions",
        "account",
        "broker",
        "by_message",
        "happened",
        "id",
        "lapsed",
        "local",
        "login",
        "mark",
        "named",
        "occupied",
        "principal",
        "renewal",
        "roster",
        "routes",
        "settings",
        "state",
        "tolerated",
        "twins",
        "usage",
        "version",
        "waiting",
        "warned",
    )

    def __init__(self, broker: Broker, roster: Roster, settings: Settings, id: str, local: bool) -> None:
        super().__init__()
        self.broker = broker
        self.roster = roster
        self.settings = settings
        self.id = id
        self.local = local
        self.state: int = CONNECTING
        self.version: Version = V10
        self.login: str | None = None
        self.mark: str = ""
        self.named: int = 0
        self.by_message: ByMessage | None = None
        self.account: Principal = settings.anybody
        self.principal: Principal = settings.anybody
        self.usage: Usage | None = None
        """What its login has, where that is limited. It is the session's own: another connection of the login, which
        may share ``account``, may have come under other limits.
        """
        self.routes = Routes(broker)
        # Most clients never need these, so all share one that is empty (bench: idle).
        self.lapsed = NONE_LAPSED
        self.tolerated = _NONE_TOLERATED
        self.twins = NO_TWINS
        self.occupied: int = 0
        """How much is under way that was asked for: another frame that asks for such work waits for it."""
        self.waiting: Waiting | None = None
        """What waits for a COMMIT, or a SUBSCRIBE, that takes more than a turn."""
        self.happened: list[Event] = []
        """Events that the shell has not taken."""
        self.renewal: Renewal | None = None
        """A new token that is being checked."""
        self.warned: bool = False
        """Whether it was told that its login expires."""
        self._made: int = 0
        """Subscriptions that were given an id."""
        self._transactions: Transactions | None = None

    @abstractmethod
    def answer(self, reply: Reply, position: int) -> None:
        """Owe the RECEIPT that ``reply`` wants, if it does, until the op log is durable up to ``position``; what is
        written from now on comes after it.
        """

    @abstractmethod
    def wait_for(self, waiting: Waiting) -> None:
        """Do nothing of what comes before what ``waiting`` waits for is over."""

    @abstractmethod
    def vacate(self) -> None:
        """One of those that it is ``occupied`` with is done."""

    @abstractmethod
    def fail(self, error: ClientError, receipt: str | None = None) -> None:
        """Tell the client what was wrong, with the frame that wanted ``receipt``; nothing is read or sent after it
        (STOMP 1.2, ERROR).
        """

    @abstractmethod
    def let_go(self) -> None:
        """End its subscriptions, and put back what it has not settled."""

    @abstractmethod
    def promised(self) -> list[str]:
        """The destinations of messages that wait in its open transactions, each once."""

    def denied(self, verb: str, name: str) -> bool:
        """Note that the client may not do ``verb`` with ``name``; whether that is only observed, and done."""
        principal = self.principal
        self.broker.denied += 1
        if len(self.happened) < NOTED:
            why = principal.why(verb, name)
            self.happened.append(Denied(principal.login, verb, name, why, principal.observes))
        return principal.observes

    def text(self) -> Text:
        """How headers are written to this client."""
        return self.version.strict_text if self.settings.strict else self.version.text

    @property
    def live(self) -> bool:
        """Whether the session has not ended, and is not about to."""
        return self.state <= CONNECTED

    def speak(self, kind: str = "") -> Speaker:
        """As whom it names destinations, bare ones being of that ``kind``, as in Speaker."""
        own = self.settings.bare
        bare = self.broker.naming.bare
        return Speaker(self.id, self.login, own or bare, kind, own != "" and own != bare)

    def required(self, frame: Frame, name: str) -> str:
        """A header's value. Raises ProtocolError when it is not there, or empty."""
        value = frame.headers.get(name)
        if not value:
            raise faults.missing(name, frame, self.version)
        return value

    def tolerate(self, kind: str, times: int = 1) -> None:
        """Count something that is against the rules and was tolerated (see dialect.headers.TOLERATED)."""
        if times:
            if self.tolerated is _NONE_TOLERATED:
                self.tolerated = {}
            self.tolerated[kind] = self.tolerated.get(kind, 0) + times

    def warn(self, reply: Reply, text: str) -> None:
        """Log what could not be done as a frame asked, and say so in its RECEIPT; "" is nothing to say."""
        if text:
            self.happened.append(Warned(text))
            reply.warn(text)

    def tell_unheard(self, reply: Reply) -> None:
        """Say in the RECEIPT what of a frame went to bare names that nobody listens to; the log has it already."""
        if self.astray:
            more = f" (and {self.astray - 1} more messages like it)" if self.astray > 1 else ""
            reply.warn(unheard(self.astray_name[:80]) + more)
            self.astray = 0
            self.astray_name = ""

    def name_subscription(self) -> str:
        """An id for a subscription of 1.0, where clients need not give one."""
        self._made += 1
        return str(self._made)

    def need_mark(self) -> str:
        """What the names of its deliveries begin with in 1.2."""
        if not self.mark:
            self.mark = self.roster.mark()
        return self.mark

    def queue_up(self, id: str, actions: list[Action], size: int) -> None:
        """Add ``actions`` to a transaction, each of ``size`` bytes. Raises ProtocolError without one of that name."""
        transactions = self.need_transactions()
        transaction = transactions.get(id)
        for action in actions:
            transactions.add(transaction, action, size)

    def need_transactions(self) -> Transactions:
        """The open transactions."""
        transactions = self._transactions
        if transactions is None:
            settings = self.settings
            transactions = self._transactions = Transactions(
                self.broker.memory.transactions,
                settings.max_transactions,
                settings.max_transaction_frames,
                settings.max_transaction_bytes,
            )
        return transactions
