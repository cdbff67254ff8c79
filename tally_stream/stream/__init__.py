"""The worker: Kafka records in, standings out.

A newcomer reads `topology.py` first (the steps, one under the other), then `runs.py` (what a run is), `counting.py` and
`merging.py`. `worker.py` puts them together in one process: `starting.py` says why it would not start, `outlet.py` is the
way out, `watches.py` ends it where it hangs, `worker_state.py` says how it is. `faust/` is where Faust is overridden: how
records arrive and when their offsets are committed.
"""
