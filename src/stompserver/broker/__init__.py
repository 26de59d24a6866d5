"""The domain: messages, queues, topics, subscriptions. No frames, no I/O, no clock, no store."""
