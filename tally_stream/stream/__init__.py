"""The worker: Kafka records in, standings out.

A newcomer reads `topology.py` first (the steps, one under the other), then `runs.py` (what a run is), `counting.py` and
`merging.py`. `faust/` is where Faust is overridden: how records arrive and when their offsets are committed.
"""
