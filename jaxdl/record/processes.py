"""Several processes that train one model: the first one writes files, and all of them synchronize."""

import jax
import numpy as np


def is_first_process() -> bool:
    """Whether this process writes the files of the run."""
    return jax.process_index() == 0


def anywhere(flag: bool) -> bool:
    """Whether the flag is set in any process. All processes must call it and wait for each other in it."""
    if jax.process_count() == 1:
        return flag
    from jax.experimental import multihost_utils

    return bool(multihost_utils.process_allgather(np.asarray(flag)).any())
