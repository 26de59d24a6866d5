"""A service on workflows' StompTransport: acknowledges each message and sends its result in one transaction.

It refuses what it cannot do, works on one message until somebody says so, and connects again after a loss, as
workflows' own services are started again by what looks after them.
"""

import sys
import time

import workflows
from workflows.transport.stomp_transport import StompTransport

worked_on = set()


def tell(line):
    sys.stdout.write(f"{line}\n")  # in one piece, also from two threads
    sys.stdout.flush()


def serve(broken):
    transport = StompTransport()

    def work(header, message):
        name = message["name"]
        tell(f"got {name}")
        if name in broken:
            transport.nack(header)
            return
        if name == "long" and name not in worked_on:
            worked_on.add(name)
            tell("working")
            sys.stdin.readline()
        transaction = transport.transaction_begin(subscription_id=header["subscription"])
        transport.send("results", {"name": name}, transaction=transaction)
        transport.ack(header, transaction=transaction)
        transport.transaction_commit(transaction)
        tell(f"done {name}")

    transport.connect()
    transport.subscribe("work", work, acknowledgement=True)
    tell("serving")
    while transport.is_connected():
        time.sleep(0.05)


StompTransport.defaults |= {
    "--stomp-host": "127.0.0.1",
    "--stomp-port": int(sys.argv[1]),
    "--stomp-prfx": "zocalo",
}
while True:
    try:
        serve(broken=sys.argv[2:])
    except workflows.Disconnected:
        time.sleep(0.05)
