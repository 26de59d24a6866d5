"""A Django site that has django-outbox-pattern, with SQLite."""

import os

SECRET_KEY = "of a test"
INSTALLED_APPS = ["django_outbox_pattern"]
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["DATABASE"],
        "OPTIONS": {"timeout": 120},
    }
}
DJANGO_OUTBOX_PATTERN = {
    "DEFAULT_STOMP_HOST_AND_PORTS": [("127.0.0.1", int(os.environ["STOMP_PORT"]))],
    "DEFAULT_PAUSE_FOR_RETRY": 1,
    "DEFAULT_WAIT_RETRY": 1,
}
LOGGING = {
    "version": 1,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "loggers": {"django_outbox_pattern": {"handlers": ["stderr"], "level": "DEBUG"}},
}
