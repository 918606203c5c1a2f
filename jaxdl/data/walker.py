"""Walk folders of data by one rule, and count what lies there and is not read.

Hidden files and folders are left out (`.ipynb_checkpoints`, `.Trash`, `._x`), and so is what systems put beside data (`__MACOSX`,
`Thumbs.db`). Symbolic links are followed; a folder that is reached a second time, as in a loop of links, is not read again.
Suffixes count in any case. Files come in the order of their paths as strings, the same on every system.
"""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from jaxdl.types import UserError

SYSTEM = {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "$recycle.bin", "lost+found"} | {
    "system volume information"
}
"""Names, in lower case, of what operating systems and file servers write into folders."""
BROKEN, AGAIN, BARE = "broken links", "links to a folder that is read already", "without a suffix"


class Note(UserWarning):
    """What a user should know and is no error, such as files that are not read; the commands print it as `note: ...`."""


@dataclass(frozen=True)
class Found:
    """What `list_files` found: the paths of the files to read, and how many of each kind are left out."""

    files: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def unread(self) -> str:
        """What is left out, the most frequent kind first; "" where nothing is.

        >>> Found([], Counter({".txt": 2, ".jfif": 40})).unread()
        '40 .jfif, 2 .txt'
        """
        kinds = sorted(self.left_out.items(), key=lambda kind: (-kind[1], kind[0]))
        return ", ".join(f"{count} {kind}" for kind, count in kinds)


def hidden(name: str) -> bool:
    """Whether a file or folder of this name is no data: hidden, or written by the system."""
    return name[0] == "." or name.lower() in SYSTEM


def existing_folder(folder: str | Path) -> Path:
    """The path, if a folder is there.

    Errors: FileNotFoundError if nothing is; UserError if it is a file.
    """
    folder = Path(folder).expanduser()
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise UserError(f"{folder}: is not a folder")
    return folder


def list_files(folder: str | Path, suffixes: Collection[str], *, deep: bool = True) -> Found:
    """Find the files with one of these suffixes in a folder and all folders below it.

    Args:
        folder: where to begin; its own name may begin with a dot.
        suffixes: endings of file names, in lower case and with the dot: {".wav", ".flac"}, {".trans.txt"}.
        deep: False for the files of this folder alone.

    Errors: FileNotFoundError if there is no such folder; UserError if one may not be read.
    """
    found, endings = Found(), tuple(suffixes)
    top = str(existing_folder(folder))
    folders, links, known = [top], [], set()
    while folders or links:
        if not folders:  # links come after all real folders, so that a link to one of these is the one that is left out
            links.sort(reverse=True)
        place = folders.pop() if folders else links.pop()
        about = os.stat(place)
        if (about.st_dev, about.st_ino) in known:
            found.left_out[AGAIN] += 1
            continue
        known.add((about.st_dev, about.st_ino))
        for entry in _entries(place):
            if entry.is_dir():
                (links if entry.is_symlink() else folders).extend([entry.path] if deep else [])
            elif entry.name.lower().endswith(endings) and entry.is_file():
                found.files.append(entry.path)
            else:
                kind = os.path.splitext(entry.name)[1].lower() or BARE
                found.left_out[kind if entry.is_file() or not entry.is_symlink() else BROKEN] += 1
    found.files.sort()
    return found


def subfolders(folder: str | Path) -> list[str]:
    """The names of the folders in a folder, sorted, without hidden ones."""
    return sorted(entry.name for entry in _entries(str(existing_folder(folder))) if entry.is_dir())


def one_folder_a_class(
    folder: str | Path, suffixes: Collection[str], *, skip: Callable[[str], bool] = lambda name: False
) -> tuple[dict[str, list[str]], tuple[str, ...]]:
    """Class -> its files, for a folder with one subfolder a class; and one note for each class of which something is not read.

    Args:
        folder: holds the subfolders; files of folders inside one of them are of its class, too.
        suffixes: as of `list_files`.
        skip: subfolders of these names are no classes.

    Errors: UserError for a class that holds files of other kinds only. An empty subfolder is no class; a note says so.
    """
    classes, notes = {}, []
    for name in subfolders(folder):
        if skip(name):
            continue
        found = list_files(Path(folder, name), suffixes)
        if found.files:
            classes[name] = found.files
        elif found.left_out:
            raise UserError(
                f"{Path(folder, name)}: none of the files of class {name!r} is read ({found.unread()}); "
                f"what is read ends in {', '.join(sorted(suffixes))}"
            )
        if not found.files or found.left_out:
            notes.append(f"class {name}: {found.unread() + ' not read' if found.left_out else 'an empty folder'}")
    loose = list_files(folder, suffixes, deep=False).files
    if loose and classes:
        notes.append(f"beside the folders of the classes: {len(loose)} not read")
    return classes, tuple(notes)


def tell(source: str | Path, notes: Iterable[str]) -> None:
    """Warn once of what is not read, the class with its counts, each in a part of one line."""
    if line := "; ".join(notes):
        warnings.warn(f"{source}: {line}", Note, stacklevel=3)


def _entries(place: str) -> Iterable[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            return [entry for entry in entries if not hidden(entry.name)]
    except PermissionError:
        raise UserError(f"{place}: this folder may not be read (permission denied)") from None
