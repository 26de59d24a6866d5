"""The domain: messages, queues, topics, subscriptions. No frames, no I/O, no clock, no store.

Read ``message`` first (``moment`` says when one came), then what stands on nothing else: ``names``, ``selectors``,
``oplog`` (the changes that a store has to keep), ``memory`` and ``deadlines`` (with its ``places``); ``slices`` is
how long work is done. ``subscription`` says who wants messages and what was handed out, ``queues`` who gets which.
``desk`` is what the parts above it may use of the whole: ``kept`` (what the server itself remembers), ``schedule``
(messages for later), ``dead`` and ``returns`` (what failed), ``departure`` (what a consumer that is gone had) and
``in_work`` (what of that may have failed), ``topics``, and ``transaction`` (whether all of several changes can be
done) with ``commit`` (in slices). ``broker`` makes the parts and has the verbs.

Each names only those that come before it; a contract of import-linter says so.
"""
