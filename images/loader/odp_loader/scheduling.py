"""How a scheduler is set up that hands out partitions: a worker gets one when a thread is free for it, and not before."""

SCHEDULER_SETTINGS = {"distributed.scheduler.worker-saturation": 1.0}
"""Dask settings of the scheduler. By its default of 1.1 a worker gets one task more than it has threads, which spares short tasks
a moment's wait. A partition takes seconds: in the last wave it would wait on one worker while a thread of another has nothing to
do (measured, 16 partitions on 2 workers of 4 threads and a slow server: 2.9 s, and 2.1 s with this)."""

SCHEDULER_ENVIRONMENT = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "1.0"}
"""The same for a scheduler in a process of its own."""
