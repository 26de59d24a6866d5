"""Each message confirmed: to its producer when it is kept, by its consumer when it is done.

Servers that speak a protocol of their own: `answers` (what is counted), `speaker` (what a protocol's module
gives), `resp` (Redis), `beanstalk`, `jetstream`; `flow` (the scenarios), `servers` (how each is started).
"""
