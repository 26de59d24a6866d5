"""Other brokers, for `stompctl move`, `stompctl convert` and `stompctl permissions import`.

``address`` is where one is, as a URL; ``link`` is a connection to it; ``letter`` is what of a message goes from one
to the other; ``carrier`` brings the messages over.

``grants`` are who may do what, in the making: ``rabbitmq_grants``, ``activemq_grants``, ``artemis_grants`` and
``mosquitto_grants`` make them of these brokers' files.

``fragment`` is a configuration in the making; ``rabbitmq`` makes one of definitions.json, and
``activemq`` of activemq.xml, which ``tree`` reads.
"""
