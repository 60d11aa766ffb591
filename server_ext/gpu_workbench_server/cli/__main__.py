"""`python -m gpu_workbench_server.cli`: the same as `gpu-workbench`."""

import sys

from . import main

sys.exit(main())
