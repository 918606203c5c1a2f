"""Makes bleu.json: scores by sacrebleu 2.6 (pip install sacrebleu), so that tests without it compare against it.

Run: python tests/golden/bleu.py
"""

import json
from pathlib import Path

import sacrebleu

CASES = {
    "short": (["the cat sat on the mat"], ["the cat sat on a mat"]),
    "too short for four words": (["hello there", "a b"], ["hello there", "a b c"]),
    "numbers, quotes, dashes": (
        ['He paid $1,000.50 (in "cash") - twice.', "Ein Mann geht 10-20 Meter, dann stoppt er."],
        ["He paid $1,000.50 in 'cash' - twice!", "Ein Mann geht 10-20 Meter; dann stoppt er."],
    ),
    "entities and umlauts": (
        ["Größe &amp; Maß: 3.5 m², &quot;groß&quot; genug .", "zwei rote Autos stehen dort ."],
        ["Größe & Maß : 3.5 m², groß genug.", "dort stehen zwei rote Autos ."],
    ),
    "no pair of words in common": (["a c b d f e", "x"], ["b a d c e f", "x y"]),
    "longer than the reference": (["one two three four five six seven eight"], ["two three four five"]),
}

if __name__ == "__main__":
    rows = [
        {"note": note, "predictions": p, "targets": t, "bleu": sacrebleu.corpus_bleu(p, [t]).score}
        for note, (p, t) in CASES.items()
    ]
    text = json.dumps(rows, ensure_ascii=False, indent=1)
    (Path(__file__).with_suffix(".json")).write_text(text + "\n", encoding="utf-8")
