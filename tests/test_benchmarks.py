"""The benchmarks compare equals: as many parameters on PyTorch's side as on ours."""

from pathlib import Path

import jax
import pytest

from jaxdl.engine.step import init_state
from jaxdl.inspect.flops import counts

pytestmark = pytest.mark.parity
BENCHMARKS = str(Path(__file__).parents[1] / "benchmarks")


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2", "efficientnet_b0", "vit_ti"])
def test_peers_have_our_parameters(name, monkeypatch):
    import torch

    monkeypatch.syspath_prepend(BENCHMARKS)
    vision, peers = __import__("vision"), __import__("vision_peers")
    case = vision.CASES[name]._replace(batch=1)
    model = vision.experiment_of(case, "float32").task.model
    with torch.device("meta"):
        theirs = sum(p.numel() for p in peers.PEERS[case.model]().parameters())
    assert counts(model, (case.image, case.image, 3))["params"] == theirs


def test_the_two_players_have_our_parameters(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    gan = __import__("gan")
    exp = gan.experiment_of()
    shapes = jax.eval_shape(lambda key: init_state(exp).params, jax.random.key(0))
    for name, theirs in zip(("generator", "critic"), gan.players(), strict=True):
        ours = sum(leaf.size for leaf in jax.tree.leaves(shapes[name]))
        assert ours == sum(p.numel() for p in theirs.parameters())
