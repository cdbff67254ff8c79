"""What programs of others read: the shape of every message, as JSON Schemas and as an AsyncAPI document.

Read in this order: `stated` (what comes in), `published` (what goes out), `documents` (their JSON Schemas), `asyncapi`.
"""
