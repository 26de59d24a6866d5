"""Topics: everybody who listens gets a copy; some of it is kept for those who come later.

Read ``fanout`` for the whole, then ``topic`` (who listens to one), ``mailbox`` (the private queue of a
subscription that acknowledges), ``feed`` and ``durables`` (queues that topics feed), ``retained``, ``history``,
``replay`` and ``choice`` (what is kept, and of which topics), ``remembering`` and ``filling`` (how a new mailbox, and
a new durable subscription, get it), ``unheard`` (what went to nobody by a mistake).
"""
