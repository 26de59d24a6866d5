"""A Django site that has django-stomp, as its README sets it up."""

import os

SECRET_KEY = "of a test"
INSTALLED_APPS = ["django_stomp"]
STOMP_SERVER_HOST = "127.0.0.1"
STOMP_SERVER_PORT = os.environ["STOMP_PORT"]
STOMP_SERVER_USER = "guest"
STOMP_SERVER_PASSWORD = "guest"
STOMP_LISTENER_CLIENT_ID = "orders"
STOMP_WAIT_TO_CONNECT = 1
STOMP_GRACEFUL_WAIT_SECONDS = 60
