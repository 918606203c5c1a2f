"""The commands of `python -m jaxdl`, one file each: `run(args) -> exit code`. A thin layer over `train`, `load` and `sweep`."""

import os

if os.environ.get("NO_COLOR"):  # rich follows it; tyro reads a variable of its own when it is imported
    os.environ.setdefault("PYTHON_TYRO_ANSI_CODES", "False")
