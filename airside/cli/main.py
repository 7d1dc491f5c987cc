"""The entry of the command line.

`airside gateway ...` is handed to the gateway before anything else is imported: that process carries every call and
stays small. All other commands are imported with their own dependencies when the program starts.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that the arguments name, and exit with its code."""
    if sys.argv[1:2] == ["gateway"]:
        import airside_gateway

        sys.exit(airside_gateway.main(sys.argv[2:]))
    from airside.cli.commands import run_command

    run_command()


if __name__ == "__main__":
    main()
