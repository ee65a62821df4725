"""`python -m weatherglass` is the command line."""

from weatherglass.cli.main import main

main()
