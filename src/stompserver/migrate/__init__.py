"""Takes over what Ruby's stompserver left: its file, dbm and activerecord storages.

``found`` recognises one, ``read`` reads one, ``into`` puts it into a store of this server. Nothing here executes or
instantiates what it reads, or changes the original's files.
"""

from stompserver.migrate.activerecord import set_aside
from stompserver.migrate.intake import into
from stompserver.migrate.ledger import Ledger
from stompserver.migrate.original import Original
from stompserver.migrate.reader import Found, found, read
from stompserver.migrate.report import Report

__all__ = ["Found", "Ledger", "Original", "Report", "found", "into", "read", "set_aside"]
