"""Puts one event for each line of stdin into the outbox; the command `publish`, in another process, sends it."""

import sys

import django

django.setup()

from django_outbox_pattern.models import Published  # noqa: E402  (needs a site that is set up)

for line in sys.stdin:
    destination, number = line.split()
    Published.objects.create(destination=destination, body={"number": number})
    print(f"put {number}", flush=True)
