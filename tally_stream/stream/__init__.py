"""The worker: Kafka records in, standings out.

This is the only package that imports Faust, and `batching.py` the only module that overrides it. A
newcomer reads `topology.py` first (the steps, one under the other), then `counting.py` and
`merging.py`; `batching.py` explains how records arrive and when their offsets are committed.
"""
