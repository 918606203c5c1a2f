"""Who writes when several processes train one model: the first; and where they meet."""

import jax
import numpy as np


def is_first_process() -> bool:
    """Whether this process writes the files of the run."""
    return jax.process_index() == 0


def anywhere(flag: bool) -> bool:
    """Whether the flag is up in any process. All must call it: it is also the point where they wait for each other."""
    if jax.process_count() == 1:
        return flag
    from jax.experimental import multihost_utils

    return bool(multihost_utils.process_allgather(np.asarray(flag)).any())
