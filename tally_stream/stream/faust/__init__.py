"""Faust at arm's length: the only package that imports it, and with `kafka/` the only one that names aiokafka.

What a caller may rely on stands in `stream/runs.py`, and is all that most readers need. Here stands how Faust is brought
to it, each override with the reason why it is there: `settings.py` (limits), `consumer.py` (which records become a run,
where a partition is read from, what is committed), `client.py` and `membership.py` (the connection to the group),
`producer.py`, `transport.py` (what ties them together, and the one way out), `app.py` (start, agents, stop). Every private
name of Faust or aiokafka that is relied on stands in `tests/stream/relied_on.py`, so that an upgrade fails by name.
"""
