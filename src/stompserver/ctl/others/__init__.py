"""Other brokers, for `stompctl move`.

``address`` is where one is, as a URL; ``link`` is a connection to it; ``letter`` is what of a message goes from one
to the other; ``carrier`` brings the messages over.
"""
