"""`python -m server` is `talktime`."""

from server.cli import main

main()
