"""Block diagrams read back: parameters, shapes and kernels are the published ones."""

import numpy as np
import pytest

from jaxdl.site.pictures import DRAWN, PICTURES, families, generative, transformers
from tests.site.reading import check_drawn, marked, numbers, text_of

PUBLISHED = {
    "mlp": 784 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 10,
    "typical-cnn": 2_026_442,  # the sheet's network in PyTorch
    "alexnet": 61_100_840,  # this one and the next: torchvision
    "vgg": 138_357_544,
    "resnet": 25_557_032,
    "vit": 86_567_656,
    "inception": 6_998_552,  # the paper's table in closed form
    "mobilenet": 4_231_976,
    "efficientnet": 5_288_548,
}
SHAPES = {
    "alexnet": ["55×55×64", "27×27×192", "13×13×384", "13×13×256", "13×13×256", "4096", "4096", "1000"],
    "vgg": ["112×112×64", "56×56×128", "28×28×256", "14×14×512", "7×7×512", "4096", "4096", "1000"],
    "resnet": ["56×56×64", "56×56×256", "28×28×512", "14×14×1024", "7×7×2048", "2048", "1000"],
    "typical-cnn": ["224×224×32", "112×112×32", "112×112×64", "56×56×64", str(64 * 56 * 56), "10", "10"],
    "mobilenet": ["112×112×32", "112×112×64", "56×56×128", "28×28×256", "14×14×512", "7×7×1024", "1024", "1000"],
    "inception": ["28×28×192", "28×28×256", "28×28×480", "14×14×512", "14×14×832", "7×7×1024", "1024", "1000"],
    "efficientnet": ["112×112×16", "56×56×24", "28×28×40", "14×14×80", "14×14×112", "7×7×192", "7×7×320", "1000"],
}


def dear(slugs):
    """EfficientNet has the largest program to trace."""
    return [pytest.param(slug, marks=[pytest.mark.slow] if slug == "efficientnet" else []) for slug in slugs]


@pytest.mark.parametrize("slug", dear(PUBLISHED))
def test_parameters_are_the_published_number(slug):
    assert f"{PUBLISHED[slug]:,} parameters" in text_of(PICTURES[slug]())


@pytest.mark.parametrize("slug", dear(SHAPES))
def test_every_array_has_its_shape(slug):
    found = [e.attrib["data-shape"] for e in marked(PICTURES[slug](), "shape")]
    assert found == ["224×224×3", *SHAPES[slug]]


@pytest.mark.parametrize("slug", ["alexnet", "vgg", "vit", "transformer", "typical-cnn"])
def test_a_bar_is_as_wide_as_its_layers_have_parameters(slug):
    bars = marked(PICTURES[slug](), "part")
    counts = np.array([float(e.attrib["data-parameters"]) for e in bars])
    np.testing.assert_allclose([float(e.attrib["width"]) for e in bars], 600 * counts / counts.sum(), atol=0.02)
    if slug in ("alexnet", "vgg", "typical-cnn"):
        assert counts.sum() == PUBLISHED[slug]


def test_dense_layers_have_inputs_plus_one_times_outputs():
    assert numbers(PICTURES["mlp"](), "parameters") == [785 * 512, 513 * 512, 513 * 10]


def test_the_transformer_is_that_of_vaswani():
    """37,000 tokens; attention 4 (d² + d), MLP 2·d·4d + 5d, layer norm 2d; norms last, so none at the end."""
    d, h = 512, 2048
    attention, mlp, norm = 4 * (d * d + d), d * h + h + h * d + d, 2 * d
    encoder, decoder = 6 * (attention + mlp + 2 * norm), 6 * (2 * attention + mlp + 3 * norm)
    picture = PICTURES["transformer"]()
    assert f"{37_000 * d + encoder + decoder:,} parameters" in text_of(picture)
    parts = {e.attrib["data-part"]: int(e.attrib["data-parameters"]) for e in marked(picture, "part")}
    assert parts == {"embed": 37_000 * d, "encoder": encoder, "decoder": decoder}


def test_a_bottleneck_narrows_convolves_and_widens():
    kernels = [e.attrib["data-kernel"] for e in marked(PICTURES["resnet"](), "kernel")]
    assert kernels == ["1×1×512×128", "3×3×128×128", "1×1×128×512"]


def test_inceptions_branches_are_the_papers():
    kernels = [e.attrib["data-kernel"] for e in marked(PICTURES["inception"](), "kernel")]
    assert kernels == ["1×1×192×64", "1×1×192×96", "3×3×96×128", "1×1×192×16", "5×5×16×32", "1×1×192×32"]


def test_a_separable_convolution_has_its_share_of_the_weights():
    depthwise, pointwise, plain = numbers(PICTURES["mobilenet"](), "weights")
    assert (depthwise, pointwise, plain) == (9 * 512, 512 * 512, 9 * 512 * 512)
    assert f"{1 / 512 + 1 / 9:.1%} of the weights" in text_of(PICTURES["mobilenet"]())


def test_three_small_filters_see_what_a_large_one_sees():
    assert sorted(numbers(PICTURES["vgg"](), "field")) == [1, 3, 5, 7]


def test_dcgan_has_the_shapes_and_parameters_of_pytorchs_example():
    generator, critic = generative.gan_stages()
    assert [s.shape for s in generator] == [
        (100,), (4, 4, 512), (8, 8, 256), (16, 16, 128), (32, 32, 64), (64, 64, 3)
    ]  # fmt: skip
    assert [s.shape for s in critic] == [(64, 64, 3), (32, 32, 64), (16, 16, 128), (8, 8, 256), (4, 4, 512), (1,)]


@pytest.mark.parametrize("slug", dear([*families.ENTRIES, *transformers.ENTRIES, "mlp", "typical-cnn"]))
def test_a_diagram_is_well_formed_and_small(slug):
    check_drawn(DRAWN[slug])
