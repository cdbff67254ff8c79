"""The command line: each command in the module of its name, which `main.py` lists.

The other modules are what several commands share (`common.py`, `view.py`, `shown.py`, `whole.py`, `lifeline.py`) and parts
of one that is long: `demo_….py`, `follow.py` of `standings`, `supervise.py` of `worker`.
"""
