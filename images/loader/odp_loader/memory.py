"""How a worker that streams is set up: its memory allocator, and nobody who looks over its threads' shoulders."""

STREAMING_ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": str(64 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(256 * 2**20)}
"""Environment of a worker process, to be set before it starts (glibc reads it then).

Dask's nanny sets MALLOC_TRIM_THRESHOLD_ to 64 KiB, which also freezes glibc's mmap threshold at 128 KiB: every chunk of a stream
would be mapped and unmapped anew (distributed#3898). Measured at 10 million rows: page faults of a worker 20 000 without, 3 000
with both. With pandas in between the larger thresholds cost memory instead, so they are for streaming loads only.
"""

STREAMING_SETTINGS = {"distributed.worker.profile.enabled": False}
"""Dask settings of the same worker. Its profiler walks the stacks of all threads a hundred times a second: 3 % of a core for 8
threads (measured), with the interpreter's lock in its hand. Whoever wants Dask's performance report wants the profiler, too.
"""
