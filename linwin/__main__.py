"""``python -m linwin``: the same as ``linwin``."""

import sys

from linwin.cli.main import main

sys.exit(main())
