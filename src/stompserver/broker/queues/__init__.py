"""A queue: what waits in it, in memory and in the store, and whose turn it is to get the next message.

Read ``queue`` for the whole: who gets what, and when. Below it: ``backlog``, ``window`` and ``sweep`` (what waits,
how much of it is in memory, and what expired in the store), ``ring`` and ``candidates`` (whose turn it is),
``matching``, ``groups``, ``line`` and ``browse`` (who may have which message, by selectors and groups), ``lease``
(deliveries that come back by themselves), ``restraint``
(who gets no more while memory is short), ``overflow`` (what is too much), ``rank`` (what goes first by its
priority), ``shared`` (what all queues have in common), ``idle`` (what becomes of a queue that nobody uses),
``disposal`` (its messages when it is no more), ``route`` (who remembers the way to a queue), ``watch`` (subscriptions
to patterns of queues).
"""
