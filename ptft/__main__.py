"""`python -m ptft`: the command line of the course."""

import signal
import sys

from ptft.cli.main import main

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # torchrun stops processes so
    sys.exit(main())
