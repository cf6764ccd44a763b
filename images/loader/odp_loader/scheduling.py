"""How a cluster is set up that hands out partitions: a worker gets one when a thread is free, and Dask itself keeps still."""

SCHEDULER_SETTINGS = {"distributed.scheduler.worker-saturation": 1.0}
"""Dask settings of the scheduler. By its default of 1.1 a worker gets one task more than it has threads, which spares short tasks
a moment's wait. A partition takes seconds: in the last wave it would wait on one worker while a thread of another has nothing to
do (measured, 16 partitions on 2 workers of 4 threads and a slow server: 2.9 s, and 2.1 s with this)."""

CALM_SETTINGS = {"distributed.admin.tick.interval": "500ms", "distributed.admin.system-monitor.interval": "2s"}
"""Dask settings of all processes of a cluster that shares its cores with a load. By default each event loop wakes up 50 times a
second to see that it is alive, and twice to read what the machine is doing: 10 % of a core for a scheduler and two workers that
have nothing to do (measured; 2 % with this), and each time a thread that has work waits for the interpreter's lock."""

SCHEDULER_ENVIRONMENT = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "1.0"}
"""The same for a scheduler in a process of its own."""
