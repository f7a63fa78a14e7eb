"""``python -m coreai_opt``: the command."""

import sys

from coreai_opt.cli import main

sys.exit(main())
