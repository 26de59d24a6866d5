"""One of several workers of one module, which all have the module's name as their client-id.

A line on stdin, and it sends a sign of life, as its makers do every few seconds: that is when it finds out that its
connection is gone.
"""

import sys
import threading

import amqstompclient

goes_on = threading.Event()
name, port = sys.argv[1:]


def tell(line):
    sys.stdout.write(f"{line}\n")  # in one piece, also from two threads
    sys.stdout.flush()


def work(destination, message, headers):
    tell(f"got {message}")
    if message.startswith("long"):
        goes_on.wait()


client = amqstompclient.AMQClient(
    {"ip": "127.0.0.1", "port": int(port), "login": "guest", "password": "guest"},
    {"name": "indexer", "version": "1.0.0", "lifesign": f"/queue/signs-{name}"},
    ["/queue/work"],
    callback=work,
)
tell("serving")
for line in sys.stdin:
    if line == "go on\n":
        goes_on.set()
    else:
        client.send_life_sign()
        tell(f"signed {client.connections}")
client.disconnect()
