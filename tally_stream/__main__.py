"""`python -m tally_stream` is `tally-stream`."""

from tally_stream.cli.main import main

main()
