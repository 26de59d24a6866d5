"""What is known of a client's connection, as plain values."""

from __future__ import annotations


class Connection:
    """What is known of a connection at one time; ``fields.CONNECTION`` says what each value means."""

    __slots__ = (
        "address",
        "age",
        "client_id",
        "held",
        "id",
        "login",
        "subscriptions",
        "tls",
        "unsettled",
        "version",
        "waiting",
    )

    def __init__(
        self,
        id: str,
        address: str,
        age: int,
        login: str,
        client_id: str,
        version: str,
        subscriptions: int,
        unsettled: int,
        waiting: int,
        held: bool,
    ) -> None:
        self.id = id
        self.address = address
        self.age: int = age
        self.login = login
        self.client_id = client_id
        self.version = version
        self.subscriptions: int = subscriptions
        self.unsettled: int = unsettled
        self.waiting: int = waiting
        self.held = held
        self.tls: str = ""
        """Only who carries it knows."""
