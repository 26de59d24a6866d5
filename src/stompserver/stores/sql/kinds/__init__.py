"""The databases that the SQL store can use, each of the shape that ``kind`` describes: ``sqlite``, ``postgresql``,
``mysql`` (which is MariaDB as well).
"""

from __future__ import annotations

from typing import Final

from stompserver.stores.sql.database import MYSQL, POSTGRESQL, SQLITE
from stompserver.stores.sql.kinds.kind import Kind
from stompserver.stores.sql.kinds.mysql import Mysql
from stompserver.stores.sql.kinds.postgresql import Postgresql
from stompserver.stores.sql.kinds.sqlite import Sqlite

KINDS: Final[dict[str, type[Kind]]] = {SQLITE: Sqlite, POSTGRESQL: Postgresql, MYSQL: Mysql}

__all__ = ["KINDS", "Kind"]
