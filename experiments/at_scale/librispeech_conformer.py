"""Conformer S on LibriSpeech, with CTC on characters.

Source: Gulati et al. 2020, arXiv:2005.08100 (encoder, SpecAugment, schedule); Graves et al. 2006 (CTC).
Run:    python -m experiments.librispeech_conformer --folder FOLDER --precision bfloat16
        FOLDER holds train-*, dev-* and test-* of openslr.org/12
Cost:   not measured here.
Expect: not measured here. Published for Conformer S, whose decoder is an LSTM transducer over word pieces where this is CTC over
        characters: WER 2.7 / 6.3 % on test-clean / test-other without a language model (table 2 and abstract). An empty
        transcript has a WER of 100 %.
"""

import optax

from jaxdl import Experiment, main
from jaxdl.augment import series
from jaxdl.data.audio import librispeech
from jaxdl.models.speech import Conformer, Transcriber
from jaxdl.models.transformer_rules import rules
from jaxdl.optim import adamw, clip, schedules
from jaxdl.tasks.ctc import Transcription


def config(
    *,
    folder: str = "~/LibriSpeech",
    width: int = 144,
    layers: int = 16,
    heads: int = 4,
    seconds: int = 16,
    epochs: int = 100,
    batch: int = 64,
    lr: float = 2e-3,
    decay: float = 1e-3,
    rate: float = 0.1,
    time_share: float = 0.05,
    frequency: float = 27.0,
    beam: int = 1,
    seed: int = 0,
) -> Experiment:
    """Conformer S with a CTC head.

    Args:
        folder: folder of train-clean-100, dev-clean, test-clean and so on.
        width: channels of the encoder (S 144, M 256, L 512).
        layers: number of blocks (S and M 16, L 17).
        heads: attention heads (S and M 4, L 8).
        seconds: maximum length of training recordings; longer ones are left out.
        epochs: passes over the training split.
        batch: recordings per step.
        lr: peak learning rate; linear warm-up, then cosine decay to zero.
        decay: decoupled weight decay.
        rate: dropout.
        time_share: SpecAugment: the longest stretch that is masked, of the recording's length; ten times.
        frequency: SpecAugment: the widest band of the 80 mel channels that is masked; twice.
        beam: beam width of the decoding; 1 takes the most probable path.
        seed: random seed of the initialization, the data order, the augmentation and the dropout.
    """
    data = librispeech.librispeech(folder, batch=batch, seconds=seconds)
    steps = epochs * data.steps_per_epoch
    network = Transcriber(classes=len(data.classes), encoder=Conformer(width, layers, heads, rate=rate))
    return Experiment(
        data=data,
        augment=(series.spec_augment(1000.0, frequency, time_masks=10, share=time_share),),
        task=Transcription(
            model=network,
            symbols=data.classes,
            beam=beam,
            show=False,
        ),
        optimizer=optax.chain(clip(norm=1.0), adamw(schedules.warmup_cosine(peak=lr, steps=steps), decay=decay)),
        steps=steps,
        rules=rules(network),
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
