"""Writes `number_words.tsv.gz`: the numbers 0 to 9999 in English, German and French words, a line each.

pip install num2words==0.5.14, then python -m jaxdl.data.bundled.make_number_words

The words are facts of the three languages; the package that spells them (num2words, LGPL) is neither included nor needed to read
them. Three spellings follow it: British "and", "mille" without "un", and German compounds in one word.
"""

import gzip
from pathlib import Path

if __name__ == "__main__":
    from num2words import num2words

    lines = ("\t".join(num2words(n, lang=lang) for lang in ("en", "de", "fr")) + "\n" for n in range(10_000))
    packed = gzip.compress("".join(lines).encode(), 9, mtime=0)
    Path(__file__).with_name("number_words.tsv.gz").write_bytes(packed)
