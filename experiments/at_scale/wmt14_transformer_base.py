"""The Transformer of 2017, base size, on WMT 2014 English-German.

Source: Vaswani et al. 2017, arXiv:1706.03762, sections 5 and 6.1; 27.3 BLEU on newstest2014 (published; tokenized, compounds
        split: sacrebleu gives less for the same output).
Run:    python -m experiments.wmt14_transformer_base --folder wmt14 --mesh data=8
Cost:   not measured here (published: 100,000 steps in 12 hours on 8 P100).
Expect: not measured here.

The folder holds train.en and train.de (4.5 million lines), val.* (newstest2013) and test.* (newstest2014), or their .gz.
"""

from jaxdl import Experiment, main
from jaxdl.data.text import translation
from jaxdl.models.transformer import EncoderDecoder
from jaxdl.models.transformer_rules import rules
from jaxdl.models.transformer_sizes import transformer
from jaxdl.optim import adam, schedules
from jaxdl.tasks.seq2seq import Translation


def config(
    *,
    folder: str = "data/wmt14",
    source: str = "en",
    target: str = "de",
    vocab: int = 37000,
    longest: int = 100,
    updates: int = 100_000,
    batch: int = 1024,
    buckets: int = 8,
    lr: float = 7e-4,
    warmup: int = 4000,
    rate: float = 0.1,
    smoothing: float = 0.1,
    beams: int = 4,
    penalty: float = 0.6,
    seed: int = 0,
) -> Experiment:
    """The base model of "Attention is all you need".

    Args:
        folder: holds train, val and test in both languages.
        source, target: suffixes of the file names.
        vocab: vocabulary size of the joint BPE.
        longest: longer training pairs, in tokens on either side, are left out.
        updates: of the parameters; the paper's base model has 100,000.
        batch: pairs per step: about the paper's 25,000 tokens a side.
        buckets: number of length buckets; each is one compiled program.
        lr: peak of the inverse square root schedule; the paper's d^-½ · warmup^-½ is 7.0e-4.
        warmup: steps of the linear warm-up.
        rate: dropout.
        smoothing: label smoothing.
        beams: beam width.
        penalty: α of the length penalty.
        seed: random seed of the initialization, the data order and the dropout.
    """
    parts = translation.find_files(folder, source, target)
    data = translation.from_files(parts, batch=batch, vocab=vocab, longest=longest, buckets=buckets, name="WMT 2014")
    words = data.source_tokenizer
    network = EncoderDecoder(transformer("base", vocab=words.size, rate=rate))
    return Experiment(
        data=data,
        task=Translation(
            model=network,
            source=words,
            target=words,
            steps=longest + 50,
            smoothing=smoothing,
            beams=beams,
            penalty=penalty,
        ),
        optimizer=adam(schedules.inverse_sqrt(peak=lr, warmup=warmup), b2=0.98, eps=1e-9),
        steps=updates,
        eval_every=min(updates, 5000),
        rules=rules(network),
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
