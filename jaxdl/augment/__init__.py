"""Augmentations: pure functions `(key, batch) -> batch` that run inside the compiled step.

`image`, `policy` (RandAugment and kin on top of it), `text`, `series` (audio too) and `mix` make them from their
hyper-parameters, all of which may be traced: `image.flip(p=0.5)`, `mix.mixup(alpha=0.2, classes=10)`. The deterministic
parts (`geometry.rotate_image(image, degrees)`, `colour.equalize_image(image)`, ...) are functions of one example.
"""
