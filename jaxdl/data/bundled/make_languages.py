"""Writes `languages.tsv`: sentences of 20 languages, from the message catalogs of Django.

python -m venv /tmp/v && /tmp/v/bin/pip install Django==5.2.19
python -m jaxdl.data.bundled.make_languages /tmp/v/lib/python3.11/site-packages/django

A line is `language <tab> text <tab> message`, where the number of the message is the same in all languages: a split that keeps
messages together never tests on the translation of a sentence it trained on. Left out: messages with placeholders, plurals,
those not translated, those under 12 or over 120 characters, and texts that two languages share.

Source: Django 5.2.19, `conf/locale` and `contrib/*/locale`; BSD-3-Clause, see LICENSE.django beside the file.
"""

import gettext
import sys
from collections import Counter
from pathlib import Path

LANGUAGES = "bg cs da de en es fi fr hr hu it nb nl pl pt ru sk sl sv uk".split()
SHORTEST, LONGEST, MOST = 12, 120, 400


def catalog(root: Path, language: str) -> dict[str, str]:
    """msgid -> text in a language; an English catalog is empty, its texts are the msgids."""
    found: dict[str, str] = {}
    for path in sorted(root.glob(f"**/locale/{language}/LC_MESSAGES/django.mo")):
        with path.open("rb") as file:
            found |= {k: v for k, v in gettext.GNUTranslations(file)._catalog.items() if isinstance(k, str)}
    return {" ".join(k.split("\x04")[-1].split()): " ".join(v.split()) for k, v in found.items() if v}


def fine(text: str) -> bool:
    return SHORTEST <= len(text) <= LONGEST and not set("%{}<>\t") & set(text) and sum(map(str.isalpha, text)) > 8


def lines(root: Path) -> list[str]:
    """The file: the messages that most languages have, in the order of their text."""
    catalogs = {language: catalog(root, language) for language in LANGUAGES if language != "en"}
    catalogs["en"] = {message: message for texts in catalogs.values() for message in texts}
    seen = Counter(text.casefold() for texts in catalogs.values() for text in set(texts.values()))
    kept = {
        language: {m: t for m, t in texts.items() if fine(t) and fine(m) and seen[t.casefold()] == 1}
        for language, texts in catalogs.items()
    }
    spread = Counter(message for texts in kept.values() for message in texts)
    messages = sorted(sorted(spread, key=lambda m: (-spread[m], m))[:MOST])
    return [
        f"{language}\t{kept[language][message]}\t{number}"
        for number, message in enumerate(messages)
        for language in LANGUAGES
        if message in kept[language]
    ]


if __name__ == "__main__":
    text = "\n".join(lines(Path(sys.argv[1]))) + "\n"
    Path(__file__).with_name("languages.tsv").write_text(text, encoding="utf-8")
