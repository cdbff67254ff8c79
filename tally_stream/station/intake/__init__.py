"""`tally-stream intake`: reports over HTTP, for places that cannot reach Kafka.

A caller is known by a token or a certificate (`identity.py`); its statement is judged and sent (`taking.py`); `server.py` is
what answers where.
"""
