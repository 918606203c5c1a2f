"""Augmentations: pure functions `(key, batch) -> batch` that run inside the compiled step.

The functions of `image`, `policy` (RandAugment and others), `text`, `series` (also for audio) and `mix` make them from
hyper-parameters, which may be traced: `image.flip(p=0.5)`, `mix.mixup(alpha=0.2, classes=10)`. Their deterministic parts, such as
`geometry.rotate_image(image, degrees)` and `colour.equalize_image(image)`, are functions of one example.
"""
