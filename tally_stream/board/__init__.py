"""The public's view: a page, JSON and a stream of events over the published topics.

Decides what the public is shown of what the worker published, and when. Refuses to count: figures are served as they
were published, byte for byte. Read `shown.py` first, then `feed.py` and `server.py`.
"""
