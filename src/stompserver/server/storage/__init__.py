"""Between the op log and a store.

Read ``pump`` first: it commits and reads in a thread of its own. ``trouble`` is what happens while the store is
full, away or broken, ``reserve`` keeps space for a full disk, ``recall`` reads back at the start what the server
itself remembers.
"""
