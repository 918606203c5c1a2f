"""Preprocessing of images that belongs to a set of weights."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxdl.data.image.reader import open_image
from jaxdl.models.efficientnet import SIZES as EFFICIENT
from jaxdl.pretrained.files import read_json, reading

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


@dataclass(frozen=True)
class Preprocess:
    """Resize the shorter side (with `squash` both), crop the centre, scale to [0, 1], subtract mean, divide by std.

    >>> Preprocess(4, 2)(np.full((8, 6, 3), 255, np.uint8)).shape
    (2, 2, 3)
    """

    resize: int = 256
    crop: int = 224
    mean: tuple[float, ...] = IMAGENET["mean"]
    std: tuple[float, ...] = IMAGENET["std"]
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    squash: bool = False

    def __call__(self, image: Any) -> np.ndarray:
        """Return float32 (crop, crop, channels) of a file, a PIL image, or an array (height, width[, channels]).

        It is read as for training, see `jaxdl.data.image.reader`: upright, transparency over white, arrays scaled by their
        range. The number of channels is the length of `mean`. Resampling is PIL's, with antialiasing.
        """
        from PIL import Image

        image = open_image(image, channels=len(self.mean))
        method = getattr(Image.Resampling, self.interpolation.upper())
        image = image.resize(self._resized(*image.size), method)
        left, top = (round((n - self.crop) / 2) for n in image.size)
        # PIL fills with black where the image is smaller than the crop
        image = image.crop((left, top, left + self.crop, top + self.crop))
        x = np.asarray(image, np.float32).reshape(self.crop, self.crop, -1) / 255
        mean, std = (np.asarray(v, np.float32)[None, None] for v in (self.mean, self.std))
        return (x - mean) / std

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        if self.squash:
            return self.resize, self.resize
        short = min(width, height)  # rounded down, as in torchvision
        return self.resize * width // short, self.resize * height // short

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "Preprocess":
        return Preprocess(**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()})


TORCHVISION = {  # resize and crop of the weights' metadata (version 1); the others are 256 and 224, bilinear
    "inception_v3": Preprocess(342, 299),
    "efficientnet_b0": Preprocess(256, 224, interpolation="bicubic"),
    "efficientnet_b1": Preprocess(256, 240, interpolation="bicubic"),
    "efficientnet_b2": Preprocess(288, 288, interpolation="bicubic"),
    "efficientnet_b3": Preprocess(320, 300, interpolation="bicubic"),
    "efficientnet_b4": Preprocess(384, 380, interpolation="bicubic"),
    "efficientnet_b5": Preprocess(456, 456, interpolation="bicubic"),
    "efficientnet_b6": Preprocess(528, 528, interpolation="bicubic"),
    "efficientnet_b7": Preprocess(600, 600, interpolation="bicubic"),
}


def usual(name: str | None, naming: str, size: int) -> Preprocess:
    """Usual preprocessing for a name of the catalog and a naming. Compare it with the documentation of the weights.

    torchvision resizes to 8/7 of the crop. Its Inception v3 was trained in TensorFlow on images in [-1, 1].
    """
    if name == "inception_v3":
        return Preprocess(342, 299, **HALF)
    if naming == "efficientnet-pytorch" and name:
        size = EFFICIENT.get(name.removeprefix("efficientnet_"), (0, 0, size))[2]
        return Preprocess(size, size, interpolation="bicubic")
    if naming == "torchvision" and name in TORCHVISION:
        return TORCHVISION[name]
    if naming.startswith("huggingface") and name and name.startswith("vit"):
        return Preprocess(size, size, squash=True, **HALF)
    if naming == "timm" and name and name.startswith("vit"):
        return Preprocess(round(size / 0.9), size, interpolation="bicubic", **HALF)
    return Preprocess(round(size * 8 / 7), size)


RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # PIL's numbers, as Hugging Face writes them


def beside(path: str | Path) -> Preprocess | None:
    """Read `preprocessor_config.json` (Hugging Face) or `config.json` (timm) beside the weights; None without either."""
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    file = folder / "preprocessor_config.json"
    if file.is_file():
        with reading(file):
            return _huggingface(read_json(file))
    file = folder / "config.json"
    if file.is_file() and "pretrained_cfg" in (config := read_json(file)):
        with reading(file):
            return _timm(config["pretrained_cfg"])
    return None


def _huggingface(config: Mapping[str, Any]) -> Preprocess:
    size, crop = config["size"], config.get("crop_size")
    squash = (isinstance(size, dict) and "height" in size) or (isinstance(size, int) and "crop_pct" not in config)
    size = size.get("shortest_edge", size.get("height")) if isinstance(size, dict) else size
    crop = crop.get("height") if isinstance(crop, dict) else crop
    cropped = crop if crop and config.get("do_center_crop", True) else size
    resize = int(size / config["crop_pct"]) if config.get("crop_pct") and size < 384 else size
    interpolation = RESAMPLING[config.get("resample", 2)]
    return Preprocess(resize, cropped, tuple(config["image_mean"]), tuple(config["image_std"]), interpolation, squash)


def _timm(config: Mapping[str, Any]) -> Preprocess:
    size = config["input_size"][-1]
    return Preprocess(
        int(size / config.get("crop_pct", 0.875)),
        size,
        tuple(config["mean"]),
        tuple(config["std"]),
        config.get("interpolation", "bilinear"),
        config.get("crop_mode") == "squash",
    )


def labels_beside(path: str | Path) -> tuple[str, ...] | None:
    """Read the names of the classes from `config.json` beside the weights (`id2label`, or timm's `label_names`)."""
    file = (Path(path) if Path(path).is_dir() else Path(path).parent) / "config.json"
    if not file.is_file():
        return None
    with reading(file):
        config = read_json(file)
        if "id2label" in config:
            return tuple(config["id2label"][str(i)] for i in range(len(config["id2label"])))
        return tuple(config["label_names"]) if "label_names" in config else None
