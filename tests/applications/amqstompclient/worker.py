"""One of several workers of one module, which all have the module's name as their client-id.

It sends a sign of life every second, as its makers do: that is when it finds out that its connection is gone. What is
long takes until stdin has named it.
"""

import collections
import sys
import threading
import time

from amqstompclient import amqstompclient

name, port = sys.argv[1:]
ended = collections.defaultdict(threading.Event)


def tell(line):
    sys.stdout.write(f"{line}\n")  # in one piece, also from two threads
    sys.stdout.flush()


def work(destination, message, headers):
    tell(f"got {message}")
    if message.startswith("long"):
        ended[message].wait()


def listen():
    for line in sys.stdin:
        ended[line.strip()].set()


threading.Thread(target=listen, daemon=True).start()
client = amqstompclient.AMQClient(
    {"ip": "127.0.0.1", "port": int(port), "login": "guest", "password": "guest"},
    {"name": "indexer", "version": "1.0.0", "lifesign": f"/queue/signs-{name}"},
    ["/queue/work"],
    callback=work,
)
tell("serving")
while True:
    time.sleep(1)
    client.send_life_sign()
    tell(f"signed {client.connections}")
