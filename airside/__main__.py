"""`python -m airside` is `airside`."""

from airside.cli.main import main

main()
