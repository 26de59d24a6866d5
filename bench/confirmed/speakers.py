"""Which protocols there are besides STOMP, by the `protocol` of a subject."""

from __future__ import annotations

from bench.confirmed.beanstalk import Beanstalk
from bench.confirmed.jetstream import JetStream
from bench.confirmed.resp import Lists, Streams
from bench.confirmed.speaker import Speaker

SPEAKERS: dict[str, Speaker] = {
    "redis-streams": Streams(),
    "redis-lists": Lists(),
    "beanstalkd": Beanstalk(),
    "jetstream": JetStream(),
}
