"""What can be asked of the broker, and done with it, by whoever looks after it: plain values in, plain values out.

Frames to the management destination, ``stompctl`` by them, and the reports on ``/queue/monitor`` read it.
``queues``, ``durables``, ``subscriptions``, ``scheduled`` and ``connections`` say what there is of each and
what can be done with it (``connection`` is what is known of one of these); ``fields`` has the list of what is
told, ``report`` makes the text of a report of it.

What has to do with many things is a job, done in slices (``jobs``): ``listing`` makes rows, ``walk`` goes
through all that waits in a queue for ``purge``, ``move``, ``redrive`` and ``bring``; ``delete`` ends a queue.
``browse`` shows what is scheduled as ActiveMQ does.
"""
