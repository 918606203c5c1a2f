"""GPT-2 of 124M parameters, trained on a corpus of any size that is read while training.

Source: Radford et al. 2019, "Language models are unsupervised multitask learners": model, context 1,024, batch 512. It gives no
        learning rate: 6e-4 and the other settings of the optimizer are those of Brown et al. 2020, arXiv:2005.14165 (table 2.1,
        appendix B), for this size; 600,000 steps, 2,000 of warm-up and no dropout are those of nanoGPT (Karpathy 2022).
Run:    python -m jaxdl tokenize CORPUS -o tokens --tokenizer tokenizer.json     (GPT-2's, from Hugging Face: 50,257 tokens)
        python -m experiments.gpt2_pretrain --folder tokens --precision bfloat16 --accumulate 16 --mesh data=8
Cost:   not measured here (published, nanoGPT: 600,000 steps take about four days on 8 A100 of 40 GB).
Expect: not measured here (published, nanoGPT on OpenWebText: about 2.85 nats a token in validation).
"""

from jaxdl import Experiment, main
from jaxdl.data import text
from jaxdl.models.transformer import Decoder
from jaxdl.models.transformer_rules import rules
from jaxdl.models.transformer_sizes import gpt2
from jaxdl.optim import adamw, clip, compose, schedules
from jaxdl.tasks.language import NextToken


def config(
    *,
    folder: str = "data/tokens",
    updates: int = 600_000,
    batch: int = 512,
    context: int = 1024,
    width: int = 768,
    depth: int = 12,
    heads: int = 12,
    rate: float | None = None,
    segments: bool = False,
    eval_rows: int = 1024,
    lr: float = 6e-4,
    warmup: int = 2000,
    decay: float = 0.1,
    seed: int = 0,
) -> Experiment:
    """Next-token prediction on token shards.

    Args:
        folder: token shards, which `python -m jaxdl tokenize` writes.
        updates: of the parameters.
        batch: rows per step; with --accumulate N, N of its parts are computed one after the other.
        context: tokens in a row.
        width: channels; the next sizes of GPT-2 have 1024, 1280 and 1600.
        depth: blocks; 24, 36 and 48.
        heads: attention heads; 16, 20 and 25.
        rate: dropout; None draws none.
        segments: let no document see another in the same row, which GPT-2 does not.
        eval_rows: validation windows of an evaluation, evenly spread.
        lr: peak learning rate, after the warm-up and before a cosine to a tenth of it.
        warmup: steps of the linear warm-up, at most half of all.
        decay: decoupled weight decay of matrices.
        seed: random seed of the initialization, the windows and the dropout.
    """
    data = text.shards(folder, batch=batch, context=context, segments=segments, eval_rows=eval_rows)
    sizes = {"width": width, "depth": depth, "heads": heads, "hidden": 4 * width}
    dropped = 0.0 if rate is None else rate
    model = Decoder(gpt2(vocab=data.tokenizer.size, length=context, rate=dropped, attention_rate=dropped, **sizes))
    schedule = schedules.warmup_cosine(peak=lr, steps=updates, warmup=min(warmup, updates // 2), end=lr / 10)
    return Experiment(
        data=data,
        task=NextToken(model),
        optimizer=compose(clip(norm=1.0), adamw(schedule, b1=0.9, b2=0.95, eps=1e-8, decay=decay)),
        steps=updates,
        eval_every=max(1, min(updates // 8, 2000)),
        rules=rules(model),
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
