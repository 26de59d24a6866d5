"""What a destination is called, and what holds for it.

Read ``destination`` first (queue, topic, or something of the server), then ``pattern`` and ``wildcards``
(names with wildcards, and which of many patterns a name fits), ``policy`` (what holds for which
destination) and ``rules`` (the limits of the whole broker); ``durable`` is what a durable subscription is known by.
"""
