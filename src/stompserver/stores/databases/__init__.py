"""The databases that the SQL store can use: one file each, of the same shape."""

from __future__ import annotations

from typing import Final

from stompserver.stores.database import MYSQL, POSTGRESQL, SQLITE
from stompserver.stores.databases.kind import Kind
from stompserver.stores.databases.mysql import Mysql
from stompserver.stores.databases.postgresql import Postgresql
from stompserver.stores.databases.sqlite import Sqlite

KINDS: Final[dict[str, type[Kind]]] = {SQLITE: Sqlite, POSTGRESQL: Postgresql, MYSQL: Mysql}

__all__ = ["KINDS", "Kind"]
