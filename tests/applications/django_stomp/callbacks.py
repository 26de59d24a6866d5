"""What the site does with an order: fills it, refuses it, or works on it until somebody says so."""

import sys


def tell(line):
    sys.stdout.write(f"{line}\n")  # in one piece, also from two threads
    sys.stdout.flush()


worked_on = set()


def fill(payload):
    number = payload.body["number"]
    tell(f"got {number} of {payload.headers['destination']}")
    if number == "bad":
        raise ValueError("nobody can fill this order")
    if number == "long" and number not in worked_on:
        worked_on.add(number)
        tell("working")
        sys.stdin.readline()
    payload.ack()
    tell(f"filled {number}")
