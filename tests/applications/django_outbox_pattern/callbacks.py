"""What the site does with an event: keeps it, refuses it, or works on it until somebody says so."""

import sys


def tell(line):
    sys.stdout.write(f"{line}\n")  # in one piece, also from two threads
    sys.stdout.flush()


worked_on = set()


def keep(payload):
    number = payload.body["number"]
    tell(f"got {number}")
    if number == "bad":
        raise ValueError("nobody can keep this event")
    if number == "long" and number not in worked_on:
        worked_on.add(number)
        tell("working")
        sys.stdin.readline()
        return  # neither kept nor refused: it has to come again
    payload.save()
    tell(f"kept {number}")
