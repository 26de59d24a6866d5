"""Publishes one order for each line of stdin, over one publisher of the library, which connects again by itself."""

import sys

import django
from django_stomp.builder import build_publisher

django.setup()
publisher = build_publisher("shop")
for line in sys.stdin:
    destination, number = line.split()
    publisher.send(body={"number": number}, queue=destination)
    print(f"sent {number}", flush=True)
publisher.close()
