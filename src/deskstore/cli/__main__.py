"""`python -m deskstore.cli`, for where the script is not on the path."""

import sys

from deskstore.cli import main

sys.exit(main())
