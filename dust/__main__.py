"""`python -m dust`."""

import sys

from dust.cli import main

sys.exit(main())
