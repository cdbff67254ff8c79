"""The command line: one module a command group. `main.py` lists them; `view.py` draws standings."""
