"""`python -m sluice_client`, and the console script `sluice-client`."""

import sys

from sluice_client.follow_command import main


def run() -> None:
    """Run the command, and exit with its status."""
    sys.exit(main())


if __name__ == "__main__":
    run()
