"""A pigeon that works on one topic, in its words, and looks at the dead letters of another.

It sends each line of stdin to its destination, registered before, and says what it is given.
"""

import logging
import sys

from pigeon import BaseMessage, Pigeon


class Job(BaseMessage):
    name: str


logging.basicConfig(level=logging.INFO)
port, *destinations = sys.argv[1:]
pigeon = Pigeon("tests", port=int(port), load_topics=False, connection_timeout=None, send_timeout=None)
pigeon.register_topics(dict.fromkeys(["/queue/jobs", *destinations], Job))
pigeon.connect("guest", "guest")
for destination in destinations:
    pigeon.subscribe(destination, lambda message, topic: print(f"{topic}: {message.name}", flush=True))
print("ready", flush=True)
for line in sys.stdin:
    pigeon.send("/queue/jobs", name=line.strip())
    print(f"sent {line.strip()}", flush=True)
pigeon.disconnect()
