"""A message: what a SEND leaves with the broker."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr, u8

OVERHEAD: Final = 1000
"""Bytes that a waiting message costs beside its body and header text (measured: 700 to 950)."""

NUMBER: Final = (1 << 57) - 1
"""Of a key: the part that is the message's number, behind its lane."""

LANES: Final = 32
"""Lanes that keys can have; those of the first are the lowest, and go first."""

HIGHEST: Final = 9
"""The highest priority in JMS, which has the first lane."""

NORMAL: Final = 4
"""The priority of a message that names none, as in JMS."""

NORMAL_LANE: Final = (HIGHEST - NORMAL) << 57
"""What a key begins with where priorities do not count. Those of very old versions have no lane, and come first."""

DATED: Final = "dated"
"""In ``extras``: that it expires at a time of day, and not after so and so long."""

DUPLICATE: Final = "dedup"
"""In ``extras``: the id by which its sender lets it be known again, until its SEND is accepted."""

SPARED: Final = 2**31 - 1
"""As ``attempts``: it was delivered before, and none of that counts. Where something counts nothing needs to say that
it was delivered before, so this one number is enough, and whoever asks whether it was asks for no more than that
there are attempts. It is the largest that stores have to keep.
"""

WAITING: Final = 0
RESERVED: Final = 1
OUT: Final = 2
DEAD: Final = 3

_PRIORITY: Final = "priority"
_EXPIRES: Final = "expires"
_GROUP: Final = "group"


# It holds text and octets alone, so it can be in no cycle: the collector need not look at it (bench: auto, fill).
@mypyc_attr(acyclic=True, free_list_len=1)
class Message:
    """One message. Treated as unchangeable once sent, but for what the broker itself counts.

    ``number`` names it (the ``message-id`` header) and ``key`` is its place in the queue; both are given by the
    broker, once, for life. ``attempts`` counts deliveries that came back and count, see ``tried``; it is SPARED
    where some came back and none counts, so that it is 0 only for what never came back. ``exceptions`` is the
    original's ``max-exceptions`` (-1: none). ``size`` is in bytes, as counted against the memory limit; ``stored``
    tells that the op log has it. ``priority`` is 0 to 9 (what RabbitMQ counts is in its header), ``expires`` Unix
    time in ms (0: never), by the clock of when it came (see ``Clock``), ``group`` the message group (empty: none).
    ``extras`` are further properties that stores keep and nobody is sent. ``state`` is the queue's: WAITING, RESERVED
    (for one subscription or a group), OUT (handed out, or held back for a time) or DEAD (it left); ``failed`` is when
    a delivery first came back that counts (Unix ms, 0: none did).
    ``lines`` are its header lines but the destination's as its sender wrote them, until somebody sets ``headers``;
    content-length is one of them. Where the message is not plain, what is escaped in them is so as in STOMP 1.1.
    ``head`` and ``variants`` are the consumer's: the encoded header block shared by all deliveries, opaque to
    the broker. ``plain`` says that nothing in what its sender wrote has to be escaped; what is added later may have
    to be, which is seen when it is written.
    """

    __slots__ = (
        "_headers",
        "attempts",
        "body",
        "destination",
        "exceptions",
        "expires",
        "extras",
        "failed",
        "group",
        "head",
        "key",
        "lines",
        "number",
        "persistent",
        "plain",
        "priority",
        "size",
        "state",
        "stored",
        "variants",
    )

    def __init__(
        self,
        destination: str,
        headers: dict[str, str] | None,
        body: bytes,
        size: int,
        plain: bool = False,
        persistent: bool = True,
        exceptions: int = -1,
    ) -> None:
        # Those of one octet stand together, so that they take one word.
        self.plain = plain
        self.persistent = persistent
        self.stored = False
        self.state: u8 = WAITING
        self.priority: u8 = NORMAL
        self.number: int = 0
        self.key: int = 0
        self.destination = destination
        self._headers = headers
        self.lines = b""
        self.body = body
        self.size: int = size
        self.exceptions: int = exceptions
        self.attempts: int = 0
        self.expires: int = 0
        self.group: str = ""
        self.extras: dict[str, str] | None = None
        self.failed: int = 0
        self.head: bytes | None = None
        self.variants: dict[str, bytes] | None = None

    @property
    def tried(self) -> int:
        """How many deliveries came back and count."""
        return 0 if self.attempts == SPARED else self.attempts

    def try_again(self, now: int) -> None:
        """A delivery came back, and counts; ``now`` is Unix time in ms."""
        self.attempts = min(self.tried + 1, SPARED - 1)
        if not self.failed:
            self.failed = now

    @property
    def headers(self) -> dict[str, str]:
        """What its sender said beside destination and content-length; to change it, set it."""
        headers = self._headers
        if headers is None:
            headers = {}
            for line in self.lines.decode().split("\n"):
                name, colon, value = line.partition(":")
                if colon and name != "content-length":
                    headers[name] = value if self.plain else _meant(value)
            # The lines stay: a thread of the storage may be who reads.
            self._headers = headers
        return headers

    @headers.setter
    def headers(self, headers: dict[str, str]) -> None:
        self._headers = headers
        self.lines = b""

    def address(self, destination: str) -> None:
        """Let it be one for ``destination``, which need not be a name that its sender wrote."""
        if self.lines:
            # They are written as they are, and what is before them too.
            self.headers = self.headers
        self.destination = destination
        self.head = None
        self.variants = None

    def copy(self) -> Message:
        """The same message for another queue, where it is tried and counted on its own; the body is shared."""
        twin = Message(
            self.destination,
            self._headers,
            self.body,
            self.size,
            self.plain,
            self.persistent,
            self.exceptions,
        )
        twin.lines = self.lines
        twin.number = self.number
        twin.priority = self.priority
        twin.expires = self.expires
        twin.group = self.group
        twin.failed = self.failed
        if self.extras is not None:
            twin.extras = dict(self.extras)
        twin.key = self.key
        twin.head = self.head
        twin.variants = self.variants
        return twin

    def kept(self) -> dict[str, str] | None:
        """What stores keep beside headers and body, as text; None for most messages."""
        if self.priority == NORMAL and not self.expires and not self.group:
            return self.extras
        kept = {} if self.extras is None else dict(self.extras)
        if self.priority != NORMAL:
            kept[_PRIORITY] = str(self.priority)
        if self.expires:
            kept[_EXPIRES] = str(self.expires)
        if self.group:
            kept[_GROUP] = self.group
        return kept

    def regain(self, kept: dict[str, str]) -> None:
        """Take back what ``kept`` gave. Raises ValueError when that is no such thing."""
        extras = dict(kept)
        priority = int(extras.pop(_PRIORITY, NORMAL))
        if not 0 <= priority <= HIGHEST:
            raise ValueError(priority)
        self.priority = priority
        self.expires = int(extras.pop(_EXPIRES, 0))
        self.group = extras.pop(_GROUP, "")
        self.extras = extras or None


def _meant(value: str) -> str:
    """Undo the escapes of STOMP 1.1 (Value Encoding); there are no others in ``value``."""
    if "\\" not in value:
        return value
    return "\\".join([part.replace("\\c", ":").replace("\\n", "\n") for part in value.split("\\\\")])
