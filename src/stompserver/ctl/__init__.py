"""`stompctl`: look after a server and what it stores.

``main`` is the command. ``store`` is what it does to a store while no server runs, with ``exchange``
(messages as lines of JSON); ``live`` is what it asks a running server, by way of ``client``, and ``permissions`` who
may do what. ``move`` brings over
what is in the queues of another broker, and ``convert`` what its configuration says; ``others`` deals with those.
``token`` makes API tokens.
``shown`` is how names that clients made up are printed.
"""
