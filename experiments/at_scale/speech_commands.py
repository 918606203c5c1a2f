"""Keyword spotting among 35 words: a small Conformer on Google's Speech Commands.

Source: Warden 2018, arXiv:1804.03209 (version 2 of the set); the network is that of Gulati et al. 2020, arXiv:2005.08100.
Run:    python -m experiments.speech_commands --folder FOLDER    speech_commands_v0.02.tar.gz, unpacked
        python -m experiments.speech_commands --folder MINE      wav, flac, ...: one subfolder a class
        python -m experiments.speech_commands                    tensorflow-datasets, prepared (its 12 classes)
Cost:   not measured here.
Expect: not measured here. Published on the 35 words: MatchboxNet 3x2x1 97.29 % with 93,000 parameters (its NGC model card),
        Keyword Transformer 97.7 % (Berg et al. 2021, arXiv:2104.00769). Naive: the most frequent word is 3.9 % of the test split.
"""

import optax

from jaxdl import Experiment, main
from jaxdl.augment import series
from jaxdl.data.audio import speech
from jaxdl.models.speech import Conformer, SpeechClassifier
from jaxdl.optim import adamw, clip, schedules
from jaxdl.tasks.classification import Classification


def config(
    *,
    folder: str = "",
    width: int = 96,
    layers: int = 4,
    epochs: int = 60,
    batch: int = 256,
    lr: float = 2e-3,
    decay: float = 0.05,
    rate: float = 0.1,
    time: float = 20.0,
    frequency: float = 8.0,
    seed: int = 0,
) -> Experiment:
    """A Conformer with mean pooling on Speech Commands.

    Args:
        folder: the unpacked archive, or any folder with one subfolder a class; empty: tensorflow-datasets.
        width: channels of the encoder.
        layers: Conformer blocks.
        epochs: passes over the training split.
        batch: recordings per step.
        lr: peak learning rate; linear warm-up, then cosine decay to zero.
        decay: decoupled weight decay.
        rate: dropout.
        time: SpecAugment: the longest stretch of frames that is masked, twice.
        frequency: SpecAugment: the widest band of mel channels that is masked, twice.
        seed: random seed of the initialization, the data order, the augmentation and the dropout.
    """
    data = speech.speech_commands(batch=batch, folder=folder or None)
    steps = epochs * data.steps_per_epoch
    encoder = Conformer(width=width, layers=layers, heads=4, kernel=15, channels=32, rate=rate)
    return Experiment(
        data=data,
        augment=(series.spec_augment(time, frequency),),
        task=Classification(model=SpeechClassifier(classes=len(data.classes), encoder=encoder, rate=rate)),
        optimizer=optax.chain(clip(norm=1.0), adamw(schedules.warmup_cosine(peak=lr, steps=steps), decay=decay)),
        steps=steps,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
