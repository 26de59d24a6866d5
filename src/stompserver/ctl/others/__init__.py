"""Other brokers, for `stompctl move` and `stompctl convert`.

``address`` is where one is, as a URL; ``link`` is a connection to it; ``letter`` is what of a message goes from one
to the other; ``carrier`` brings the messages over.

``fragment`` is a configuration in the making; ``rabbitmq`` makes one of definitions.json, and
``activemq`` of activemq.xml, which ``tree`` reads.
"""
