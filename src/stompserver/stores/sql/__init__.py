"""Tables that Rails can read, in SQLite, PostgreSQL, MySQL or MariaDB.

``store`` is the store, ``tables`` its statements, ``frame_yaml`` the frame as the original wrote it,
``database`` reads ``database.yml``, ``kinds`` has what each database does its own way.
"""
