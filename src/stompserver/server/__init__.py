"""The asyncio shell: the only place with await, sockets and threads.

Read ``build`` first (what a server stands on, opened), then ``server`` (its connections and its end),
``connection`` (one of them; a ``carrier`` may stand before it: ``detect`` finds out whether, ``websocket`` is one,
``hosts`` says whose pages may use it), ``turn`` (what is done at the end of each turn of the loop) and ``roll``
(the connections for those who manage the server). ``peer`` is what the parts may ask of a connection, ``lines``
what the log says of a session. ``door`` and ``logins`` are who is let in, ``producers`` who has to wait, ``alarm``
and ``cron`` what is done at a time (``hearing``: not before what came is read), ``terms``, ``policies``,
``permissions`` and ``listeners`` what is made of a configuration. ``audit`` is what administrators have to answer
for, ``accounts`` are the places where accounts are, ``quotas`` count what logins have and ``meter`` what they send,
``login_line`` is the order in which logins are checked, ``origin`` where clients come from, ``strangers`` what
clients without a login may hold, ``hang_up`` who left while it was not read, ``spread`` calls that are due for many
at once, ``unbound`` how a lost transport goes, ``log_rate`` how many lines a client may cause. ``fronts`` is what a
listener wants before STOMP, ``entrance`` a connection until then, ``tls`` a transport with TLS, ``renewal`` its
certificates. ``storage`` is between the op log and a store, ``process`` what belongs to the process and not to a
server.
"""
