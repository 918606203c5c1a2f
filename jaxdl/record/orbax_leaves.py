"""The arrays of a checkpoint, written and read by orbax. Only this file imports it, late, since that takes 0.4 s."""

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.record.leaves import Leaves, data_of, flatten, is_key, nest, with_data


def preload() -> threading.Thread:
    """Import orbax in the background, so that the first save or restore need not wait for it."""

    def attempt() -> None:
        with suppress(Exception):  # the process may be ending; any other error comes again where orbax is used
            orbax()

    thread = threading.Thread(target=attempt, name="import-orbax", daemon=True)
    thread.start()
    return thread


def orbax() -> Any:
    import orbax.checkpoint as ocp
    from absl import logging

    logger = logging.get_absl_logger()
    if _not_from_orbax not in logger.filters:
        logger.addFilter(_not_from_orbax)  # it logs a traceback for every error that we report in one line
    return ocp


def _not_from_orbax(record: Any) -> bool:
    return f"{os.sep}orbax{os.sep}" not in record.pathname


def read_leaves(path: Path, wanted: Leaves) -> Leaves:
    ocp = orbax()
    structs, how = {}, {}
    for name, leaf in wanted.items():
        if 0 in leaf.shape:
            continue
        sharding = getattr(leaf, "sharding", None)
        struct = jax.eval_shape(jax.random.key_data, leaf) if is_key(leaf) else leaf
        structs[name] = jax.ShapeDtypeStruct(struct.shape, struct.dtype, sharding=sharding)
        how[name] = (
            ocp.RestoreArgs(restore_type=np.ndarray) if sharding is None else ocp.ArrayRestoreArgs(sharding=sharding)
        )
    arrays: Leaves = {}
    if structs:
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
            args = ocp.args.PyTreeRestore(item=nest(structs), restore_args=nest(how), partial_restore=True)
            arrays = flatten(reader.restore(path, args=args))
    found = {}
    for name, leaf in wanted.items():
        array = arrays[name] if name in arrays else jnp.zeros(leaf.shape, data_of(leaf).dtype)
        if isinstance(array, np.ndarray) and jnp.result_type(array) == array.dtype:  # int64 stays with NumPy
            array = jnp.array(array)  # a copy: it may be donated
        found[name] = with_data(leaf, array)
    return found
