"""A log, and dbm databases that are made of it at one go.

``store`` is the store, ``log`` what comes first, ``files`` and ``index`` what it becomes, ``engines`` the
libraries (Berkeley DB, GNU dbm, ndbm).
"""
