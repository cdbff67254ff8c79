"""The one exception of `stream/` that ends a worker: something that must always hold does not.

Whoever meets it raises it with the sentence for the operator; `RunTransport.fail` ends the process with that sentence before
anything else is sent or committed. It stands alone so that neither stage has to know the other to raise it.
"""


class BrokenInvariant(Exception):
    """Counting must not go on: the process ends before another commit, with this sentence."""
