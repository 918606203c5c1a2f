"""Back-translation: number words from few translated pairs and many German words without a translation.

Source: Sennrich et al. 2016, arXiv:1511.06709.
Run:    python -m experiments.back_translation --direction de-en
        python -m experiments.back_translation --teacher runs/back_translation/<that run>
        python -m experiments.back_translation
        python -m experiments.back_translation --teacher RUN --translator runs/back_translation/<the third>
Cost:   about 10 s each on a 2-core x86 CPU, after about a minute of compiling.
Expect: exact match on 1000 held-out numbers, mean ± standard deviation over seeds 0-2 (100 pairs, 2000 German words, 600 steps):

    few pairs alone                         80.3 ± 10.0 %
    with the teacher's back-translations    94.0 ± 1.9 %      better with every seed, by 6 to 27 points
    English paraphrased there and back      76.9 ± 10.3 %     better with no seed: 0 to 7 points less
    the teacher itself, German to English   80.3 ± 14.8 %

The first run learns the way back from the few pairs. The second translates the German words with it, and learns from the few
pairs and from these, which are flawed on the English side only. The third is what the few pairs alone give in as many steps.
The fourth rewrites half of the English sources, by the third run into German and by the teacher back, drawn anew in every step.
"""

from functools import lru_cache
from typing import Literal

from jaxdl import Experiment, load, main
from jaxdl.augment import text
from jaxdl.augment.text import Rewriter
from jaxdl.data.text import translation
from jaxdl.data.text.translation import Pair
from jaxdl.layers.alignment import Bahdanau
from jaxdl.layers.recurrent import LSTM, Recurrent
from jaxdl.models.seq2seq import Seq2Seq
from jaxdl.optim import adamw, schedules
from jaxdl.runs.run import Run
from jaxdl.tasks.seq2seq import Translation
from jaxdl.types import Augment


def parts(few: int) -> tuple[tuple[str, tuple[Pair, ...]], ...]:
    """`few` pairs to learn from; the other splits are those of `number_words`."""
    table = translation.number_table()
    return tuple(
        (part, tuple(table[n][:2] for n in numbers)) for part, numbers in translation.number_parts(few).items()
    )


def opened(knob: str, folder: str, direction: str) -> Run:
    """A translator of number words in this direction, from its run folder."""
    run = load(folder)
    found = run.setup.knobs.get("direction")
    if found != direction:
        raise ValueError(f"{knob} = {folder!r} translates {found}: train it with --direction {direction}")
    return run


@lru_cache(maxsize=2)
def there_and_back(translator: str, teacher: str) -> tuple[Rewriter, Rewriter]:
    """English to German and back as functions of tokens, for paraphrases inside the training step."""
    runs = opened("translator", translator, "en-de"), opened("teacher", teacher, "de-en")
    return tuple(run.experiment.task.rewriter(run.weights) for run in runs)


@lru_cache(maxsize=2)
def translated_back(teacher: str, few: int, many: int) -> tuple[Pair, ...]:
    """`many` German number words, none of them among the few pairs, with what the teacher makes of them in English."""
    table = translation.number_table()
    german = [table[n][1] for n in translation.number_parts(few + many)["train"][few:]]
    run = opened("teacher", teacher, "de-en")
    parts_of = run.experiment.data.source_tokenizer.encode
    fits = [word for word in german if len(parts_of(word)) < run.experiment.data.shape[0]]
    return tuple(zip(run.predict(fits)["text"], fits, strict=True))


def config(
    *,
    direction: Literal["en-de", "de-en"] = "en-de",
    teacher: str = "",
    translator: str = "",
    share: float = 0.5,
    few: int = 100,
    many: int = 2000,
    updates: int = 600,
    batch: int = 32,
    width: int = 64,
    lr: float = 3e-3,
    rate: float = 0.2,
    seed: int = 0,
) -> Experiment:
    """Number words from few pairs, with or without the help of German words alone.

    Args:
        direction: English to German, or the way back.
        teacher: the run folder of a translator back, which adds pairs; empty: learn from the few pairs alone.
        translator: the run folder of a translator there: with it and the teacher, the English of the few pairs is paraphrased
            there and back, drawn anew at every step, and no pairs are added.
        share: share of the sources that are paraphrased.
        few: pairs with a translation.
        many: German words without one.
        updates: steps, the same with and without a teacher.
        batch: pairs per step.
        width: channels of embeddings and layers.
        lr: peak learning rate; linear warm-up, then cosine decay to zero.
        rate: dropout.
        seed: random seed of the initialization, the data order and the dropout.
    """
    pairs, made = dict(parts(few)), f"{few} pairs"
    augment: tuple[Augment, ...] = ()
    if translator:
        if not teacher or direction != "en-de":
            raise ValueError(
                f"translator = {translator!r} paraphrases English: give a teacher, too, and direction en-de"
            )
        augment = (text.back_translate(*there_and_back(translator, teacher), share),)
    elif teacher:
        if direction != "en-de":
            raise ValueError(f"teacher = {teacher!r} helps the direction en-de, got {direction}")
        own = translated_back(teacher, few, many)
        pairs["train"] = pairs["train"] * max(1, len(own) // few) + own  # half of what is learned from is real
        made += f", and {len(own)} German words translated back"
    if direction == "de-en":
        pairs = {part: tuple((german, english) for english, german in lines) for part, lines in pairs.items()}
    tokenizers = translation.number_tokenizers()
    source, target = tokenizers if direction == "en-de" else tokenizers[::-1]
    name = f"number words, {direction}"
    data = translation.from_pairs(
        tuple(pairs.items()), made, batch=batch, tokenizers=(source, target), buckets=1, name=name
    )
    model = Seq2Seq(
        vocab=target.size,
        source_vocab=source.size,
        width=width,
        encoder=Recurrent(LSTM(width // 2), bidirectional=True, residual=True),
        decoder=Recurrent(LSTM(width)),
        alignment=Bahdanau(width // 2),
        query="token",
        rate=rate,
    )
    return Experiment(
        data=data,
        augment=augment,
        task=Translation(model, source, target, steps=data.shape[1] + 10, metric=("exact_match", "max")),
        optimizer=adamw(schedules.warmup_cosine(peak=lr, steps=updates), decay=0.01),
        steps=updates,
        eval_every=updates,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
