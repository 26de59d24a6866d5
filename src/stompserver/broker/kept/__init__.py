"""What the server itself has to remember over a restart: messages in system queues of the store.

``register`` is what the others are made of: ``duplicates`` (ids that came already), ``properties`` (what a
queue took from a frame), ``pauses`` (queues that deliver nothing for now), ``jumps`` (how
the clock was set). Each enters at the desk who takes it back
at the start.
"""
