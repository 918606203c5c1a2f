import json

import numpy as np
import pytest
from PIL import Image

from jaxdl.data.image.reader import open_image
from jaxdl.pretrained.preprocess import HALF, IMAGENET, Preprocess, beside, labels_beside, usual
from jaxdl.types import UserError


def test_a_constant_image_becomes_a_constant():
    x = Preprocess(8, 4, (0.5, 0.25, 0.0), (0.5, 0.25, 1.0))(np.full((10, 20, 3), 255, np.uint8))
    assert x.shape == (4, 4, 3)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, np.broadcast_to([1.0, 3.0, 1.0], x.shape), rtol=1e-6)


def test_the_shorter_side_is_resized_and_the_middle_cut_out():
    image = np.zeros((4, 8, 3), np.uint8)
    image[:, 2:6] = 255  # the middle square
    plain = Preprocess(4, 4, (0.0,) * 3, (1.0,) * 3)
    np.testing.assert_array_equal(plain(image), np.ones((4, 4, 3)))
    squashed = Preprocess(4, 4, (0.0,) * 3, (1.0,) * 3, "nearest", squash=True)(image)
    np.testing.assert_array_equal(squashed[0, :, 0], [0, 1, 1, 0])
    assert plain(np.zeros((7, 3, 3), np.uint8)).shape == (4, 4, 3)


def test_grey_images_files_and_colour(tmp_path):
    grey = Preprocess(4, 4, (0.5,), (0.5,))
    assert grey(np.zeros((4, 4, 1), np.uint8)).shape == (4, 4, 1)
    Image.fromarray(np.full((5, 5), 255, np.uint8)).save(tmp_path / "a.png")
    np.testing.assert_allclose(Preprocess(4, 4, **HALF)(tmp_path / "a.png"), np.ones((4, 4, 3)), rtol=1e-6)
    np.testing.assert_allclose(grey(np.full((4, 4, 1), 1.0)), np.ones((4, 4, 1)), rtol=1e-6)
    with pytest.raises(UserError, match=r"float64.*255"):
        grey(np.full((4, 4, 1), 255.0))


def test_a_path_an_open_image_and_the_reader_show_the_same_picture(tmp_path):
    """Turned by EXIF, transparent, and of 16 bits."""
    see = Preprocess(16, 16, (0.0,) * 3, (1.0,) * 3)
    exif = Image.Exif()
    exif[0x0112] = 3  # by 180 degrees
    rows = np.repeat([0, 255], 8).astype(np.uint8)[:, None].repeat(16, 1)
    Image.fromarray(rows).save(tmp_path / "turned.png", exif=exif)
    Image.new("RGBA", (16, 16), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.fromarray(rows.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    for name, expected in (("turned", rows[::-1] / 255), ("clear", np.ones((16, 16))), ("deep", rows / 255)):
        path = tmp_path / f"{name}.png"
        with Image.open(path) as image:
            for given in (path, str(path), image, open_image(path)):
                np.testing.assert_allclose(see(given), expected[..., None].repeat(3, -1), atol=1e-6)


def test_it_travels_as_json():
    original = Preprocess(342, 299, interpolation="bicubic", **HALF)
    assert Preprocess.from_json(json.loads(json.dumps(original.to_json()))) == original


# what the files beside published weights look like
CONFIGS = {
    "google/vit-base-patch16-224": (
        "preprocessor_config.json",
        {"size": 224, "do_resize": True, "resample": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
        Preprocess(224, 224, squash=True, **HALF),
    ),
    "microsoft/resnet-50": (
        "preprocessor_config.json",
        {"crop_pct": 0.875, "size": 224, "resample": 3, "image_mean": IMAGENET["mean"], "image_std": IMAGENET["std"]},
        Preprocess(256, 224, interpolation="bicubic"),
    ),
    "google/mobilenet_v2_1.0_224": (
        "preprocessor_config.json",
        {
            "crop_size": {"height": 224, "width": 224},
            "do_center_crop": True,
            "size": {"shortest_edge": 256},
            "image_mean": [0.5] * 3,
            "image_std": [0.5] * 3,
        },
        Preprocess(256, 224, **HALF),
    ),
    "timm/resnet50.a1_in1k": (
        "config.json",
        {
            "pretrained_cfg": {
                "input_size": [3, 224, 224],
                "crop_pct": 0.95,
                "crop_mode": "center",
                "interpolation": "bicubic",
                "mean": IMAGENET["mean"],
                "std": IMAGENET["std"],
            }
        },
        Preprocess(235, 224, interpolation="bicubic"),
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_read_from_the_files_beside(tmp_path, name):
    file, config, expected = CONFIGS[name]
    (tmp_path / file).write_text(json.dumps(config), encoding="utf-8")
    assert beside(tmp_path) == beside(tmp_path / "model.safetensors") == expected


def test_nothing_beside(tmp_path):
    assert beside(tmp_path) is None
    assert labels_beside(tmp_path) is None
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {"1": "dog", "0": "cat"}}), encoding="utf-8")
    assert beside(tmp_path) is None
    assert labels_beside(tmp_path) == ("cat", "dog")


def test_the_usual():
    assert usual("resnet50", "torchvision", 224) == Preprocess()
    assert usual("efficientnet_b3", "torchvision", 300) == Preprocess(320, 300, interpolation="bicubic")
    assert usual("inception_v3", "torchvision", 299) == Preprocess(342, 299, **HALF)
    assert usual("vit_b_16", "huggingface vit", 224) == Preprocess(224, 224, squash=True, **HALF)
    assert usual(None, "timm", 224) == Preprocess()


@pytest.mark.parity
def test_against_pytorch_bilinear_antialiased():
    """torchvision resizes tensors by this function; PIL rounds to integers in between."""
    torch = pytest.importorskip("torch")
    image = np.random.default_rng(0).integers(0, 256, (37, 53, 3)).astype(np.uint8)
    tensor = torch.tensor(image).permute(2, 0, 1)[None].float()
    for mode in ("bilinear", "bicubic"):
        resized = torch.nn.functional.interpolate(tensor, (20, 28), mode=mode, antialias=True)[0].permute(1, 2, 0)
        expected = resized[:, 4:24].clamp(0, 255) / 255
        actual = Preprocess(20, 20, (0.0,) * 3, (1.0,) * 3, mode)(image)
        np.testing.assert_allclose(actual, expected, atol=1.01 / 255)
