"""Takes over what Ruby's stompserver left: its file, dbm and activerecord storages.

``found`` recognises one, ``read`` reads one (both in ``reader``), ``into`` (``intake``) puts it into a store of this
server, of which ``ledger`` takes note, and ``report`` tells. Nothing here executes or instantiates what it reads, or
changes the original's files.

By the original's queue types: ``files``, ``databases`` and ``activerecord``. The first two share ``qinfo``
(the index) and ``order`` (where messages that it does not list belong). Databases are read by ``berkeley``
and ``gnu``, which give ``pairs``; a ``frame`` by ``marshal`` or ``ruby_yaml``, which may find it
``unreadable``. What was found is in ``original``.
"""

from stompserver.migrate.activerecord import set_aside
from stompserver.migrate.intake import into
from stompserver.migrate.ledger import Ledger
from stompserver.migrate.original import Original
from stompserver.migrate.reader import Found, found, read
from stompserver.migrate.report import Report

__all__ = ["Found", "Ledger", "Original", "Report", "found", "into", "read", "set_aside"]
