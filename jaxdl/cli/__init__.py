"""The commands of `python -m jaxdl`, one file each: `run(args) -> exit code`. A thin layer over `train`, `load` and `sweep`."""
