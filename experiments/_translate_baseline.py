"""Baselines of `translate` without a network: the unchanged source, and word-by-word translation.

Run: python -m experiments._translate_baseline --folder multi30k

The translations of single words are those of IBM's model 1, learned from the training pairs:
P(t | s) ∝ expected count of pairs in which s made t; every word of the source is as likely to have made a target word.

Source: Brown et al. 1993, "The mathematics of statistical machine translation", section 4.1. BLEU as in the report.
"""

import argparse
import re

import numpy as np

from jaxdl.data.text import translation
from jaxdl.metrics.text import bleu


def words(sentence):
    return re.findall(r"\w+|[^\w\s]", sentence)


def numbered(sentences):
    """Sentences as numbers of their words, and the words."""
    index = {}
    return [[index.setdefault(word, len(index)) for word in words(s)] for s in sentences], list(index)


def lexicon(pairs, *, iterations=8):
    """Source word -> its likeliest translation."""
    (sources, known), (targets, made) = (numbered(side) for side in zip(*pairs, strict=True))
    place, cell = 0, []
    for s, t in zip(sources, targets, strict=True):  # a row for each word of the target with each of the source
        at = place + np.arange(len(t))
        cell.append(
            np.stack(np.broadcast_arrays(at[:, None], np.array(s)[None], np.array(t)[:, None]), -1).reshape(-1, 3)
        )
        place += len(t)
    at, source, target = np.concatenate(cell).T
    couples, couple = np.unique(source * len(made) + target, return_inverse=True)
    source_of, target_of = couples // len(made), couples % len(made)
    p = np.ones(len(couples))
    for _ in range(iterations):
        share = p[couple] / np.bincount(at, p[couple])[at]
        count = np.bincount(couple, share)
        p = count / np.bincount(source_of, count)[source_of]
    return {known[source_of[i]]: made[target_of[i]] for i in np.argsort(p, kind="stable")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True, help="holds train.en, train.de, test*.en, test*.de (or .gz)")
    parser.add_argument("--source", default="en")
    parser.add_argument("--target", default="de")
    options = parser.parse_args()
    try:
        files = translation.find_files(options.folder, options.source, options.target)
    except FileNotFoundError as error:
        parser.error(str(error))
    if "test" not in files:
        parser.error(f"--folder {options.folder}: has no test files, on which BLEU is measured")
    pairs = {part: translation.read_parallel(*files[part]) for part in ("train", "test")}
    word, (sources, targets) = lexicon(pairs["train"]), zip(*pairs["test"], strict=True)
    written = [" ".join(word.get(w, w) for w in words(s)) for s in sources]
    print(f"{len(sources)} sentences: the source as it stands, BLEU {bleu(sources, targets):.1f}")
    print(f"word by word, BLEU {bleu(written, targets):.1f}, for example: {sources[0]} -> {written[0]}")


if __name__ == "__main__":
    main()
