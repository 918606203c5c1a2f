"""Writes `clothing.npz`: the first 1,000 training and the first 200 test images of each class of Fashion-MNIST.

apt-get install dataset-fashion-mnist, then

python -m jaxdl.data.bundled.make_clothing /usr/share/datasets/fashion-mnist/{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz

The images keep their order. Source: Xiao et al. 2017, arXiv:1708.07747; MIT licence, `LICENSE.fashion-mnist`.
"""

import sys
from pathlib import Path

import numpy as np

from jaxdl.data import files


def first_of_each(x: np.ndarray, y: np.ndarray, each: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `each` examples of every class, in their order.

    >>> first_of_each(np.arange(6), np.array([1, 0, 1, 1, 0, 0]), 2)
    (array([0, 1, 2, 4]), array([1, 0, 1, 0]))
    """
    rows = np.sort(np.concatenate([np.flatnonzero(y == label)[:each] for label in np.unique(y)]))
    return x[rows], y[rows]


if __name__ == "__main__":
    names = ("train-images", "train-labels", "t10k-images", "t10k-labels")
    paths = {name: Path(path) for path in sys.argv[1:] for name in names if Path(path).name.startswith(name)}
    if len(paths) != len(names):
        sys.exit(f"expected four IDX files, {', '.join(names)}, got {', '.join(paths) or 'none'}")
    x_train, y_train, x_test, y_test = (files.read_idx(paths[name]) for name in names)
    x_train, y_train = first_of_each(x_train, y_train, 1000)
    x_test, y_test = first_of_each(x_test, y_test, 200)
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    np.savez_compressed(Path(__file__).with_name("clothing.npz"), **arrays)
