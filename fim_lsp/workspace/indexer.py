"""The files of the workspace as they are: what is listed, read and chosen, step by step.

Folders are listed first, then files are read, the nearest first, until the budget is full; but the folder of
an open file comes before all else. A change lists the folders that it is in again. So whatever happened, the
files in the end are those that a new index would have.
"""

from __future__ import annotations

import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeVar

from attrs import define, field, frozen

from fim_lsp.workspace.file_names import is_left_out_folder
from fim_lsp.workspace.file_text import FileReading, FileStamp, read_file
from fim_lsp.workspace.ignore_rules import IGNORE_FILES, IgnoreRules
from fim_lsp.workspace.indexed_file import IndexedFile
from fim_lsp.workspace.nearness import OpenPlace, order_files
from fim_lsp.workspace.time_limit import TimeLimit
from fim_lsp.workspace.walk import FolderListing, IsDisabled, list_folder, refuse

T = TypeVar("T")
logger = logging.getLogger(__name__)

_TIME_LIMIT_S = 5.0
"""Seconds for one file, or for the names in one folder."""
_MOST_HANGS = 3
"""Reads that may hang below one folder of the workspace; then it is left alone."""
MOST_FILES = 200_000
"""Files that are listed at most; a folder with more of them is no workspace of code."""
_OPEN_FILES = 8
"""Files opened last, near which others are."""
_FULL = 0.9
"""Share of the budget beyond which no smaller file is looked for."""

_GIT_EXCLUDE = os.path.join(".git", "info", "exclude")

Index = Callable[[str, FileReading], IndexedFile]
"""From a path and what was read there to what is kept of it."""


@frozen
class IndexPlan:
    """The folders to index, and by which rules."""

    folders: tuple[str, ...] = ()
    """Of the workspace, without links."""
    max_tokens: int = 0
    is_disabled: IsDisabled = field(default=lambda path: False, repr=False)


@define
class Changes:
    """The difference that some steps made."""

    files: list[IndexedFile] = field(factory=list)
    """Those that are new or have another content."""
    gone: list[str] = field(factory=list)
    """Paths of those that are not in the index any more."""
    remarks: list[str] = field(factory=list)
    """What the user should know, once."""
    withdrawn: bool = False
    """True if some of those that are gone must not be kept on the disk either: deleted, ignored or secret."""


class Indexer:
    """Knows the files of the workspace. Each call of :meth:`step` does a little.

    Args:
        index: makes of a text what is kept of it; None until there is a vocabulary.
        limit: gives up on files and folders that hang.
        recent: returns the paths that git's last commits in a folder changed.
    """

    def __init__(
        self,
        index: Index | None = None,
        limit: TimeLimit | None = None,
        recent: Callable[[str], frozenset[str]] = lambda folder: frozenset(),
    ) -> None:
        self._index = index
        self._limit = limit or TimeLimit(_TIME_LIMIT_S)
        self._find_recent = recent
        self._plan = IndexPlan()
        self._opened: tuple[OpenPlace, ...] = ()
        self._recent: frozenset[str] = frozenset()
        self._listings: dict[str, FolderListing] = {}
        self._above: dict[str, IgnoreRules] = {}
        self._listed: dict[str, FileStamp] = {}
        self._to_list: deque[tuple[str, IgnoreRules]] = deque()
        self._urgent: deque[str] = deque()
        self._read: dict[str, IndexedFile] = {}
        self._saved: dict[str, IndexedFile] = {}
        self._reported: dict[str, IndexedFile] = {}
        self._room = 0
        self._order: list[str] | None = None
        self._at = 0
        self._chosen: set[str] = set()
        self._chosen_room = 0
        self._finished = True
        self._hangs: Counter[str] = Counter()
        self._remarked: set[str] = set()
        self._changes = Changes()

    @property
    def finished(self) -> bool:
        """True if there is nothing to do until something changes."""
        return not self._to_list and not self.urgent and (self._finished or self._index is None)

    @property
    def urgent(self) -> bool:
        """True while files in the folder of an open one are to be read."""
        return bool(self._urgent) and self._index is not None

    @property
    def listed_files(self) -> int:
        """Number of files that may be read by their names."""
        return len(self._listed)

    def kept(self) -> list[IndexedFile]:
        """Return the files in the index, and those that are left out by their content."""
        problems = (file for file in self._read.values() if file.problem)
        return [*self._reported.values(), *problems]

    def problems(self) -> dict[str, int]:
        """Count the files that are left out by their content, by reason."""
        return dict(Counter(file.problem for file in self._read.values() if file.problem))

    # --- What happens

    def start(self, plan: IndexPlan) -> None:
        """Index other folders, or the same ones by other rules. Versions that were read are kept."""
        folders = tuple(folder for folder in dict.fromkeys(plan.folders) if self._may_index(folder))
        same = folders == self._plan.folders and plan.is_disabled is self._plan.is_disabled
        self._plan = IndexPlan(folders, plan.max_tokens, plan.is_disabled)
        if not same:
            self.look_again()
        found = (self._limited(folder, self._find_recent, folder) for folder in folders)
        self._recent = frozenset().union(*(paths for paths in found if paths))
        self._choose_again()

    def take_vocabulary(self, index: Index | None) -> None:
        """Tokenise from now on; versions that were read for another vocabulary are forgotten."""
        self._index = index
        for path in tuple(self._reported):
            self._drop(path)
        self._read.clear()
        self._saved.clear()
        self._choose_again()

    def remember(self, files: Iterable[IndexedFile]) -> None:
        """Take versions that were saved on the disk; each is used if the file is still the same."""
        self._saved.update((file.path, file) for file in files)

    def opened(self, file: OpenPlace) -> None:
        """Read what is near a file that was opened."""
        others = (other for other in self._opened if other.path != file.path)
        self._opened = (file, *islice(others, _OPEN_FILES - 1))
        self._choose_again()

    def changed(self, paths: Iterable[str]) -> None:
        """Look again where files or folders were written, made, renamed or deleted."""
        again: dict[str, None] = {}
        for path in paths:
            if self._holder(path) is None:
                continue
            self._read.pop(path, None)
            self._saved.pop(path, None)
            name, folder = os.path.basename(path), os.path.dirname(path)
            if path.endswith(_GIT_EXCLUDE) or path in self._plan.folders:
                self.look_again()
            elif name in IGNORE_FILES:
                self._look_below(self._nearest_listed(folder))
            else:
                inner = (each for each in self._plan.folders if _is_below(each, path))
                opened = (each.folder for each in self._opened if _is_below(each.folder, path))
                again.update(dict.fromkeys((self._nearest_listed(folder), path, *inner, *opened)))
        waiting = {folder for folder, _ in self._to_list}
        for folder in again.keys() - waiting:
            if folder in self._listings:
                self._to_list.append((folder, self._above[folder]))
            elif folder in self._plan.folders:
                # It was deleted, and is there again.
                rules = self._limited(folder, IgnoreRules.above, folder)
                self._to_list.append((folder, rules or IgnoreRules()))
        self._choose_again()

    def look_again(self) -> None:
        """List all folders again, where no client tells what changed."""
        self._listings.clear()
        self._above.clear()
        self._listed.clear()
        self._to_list.clear()
        for folder in self._plan.folders:
            rules = self._limited(folder, IgnoreRules.above, folder)
            self._to_list.append((folder, rules or IgnoreRules()))
        self._choose_again()

    # --- The work

    def step(self) -> None:
        """List one folder, read one file, or choose among those that were read."""
        if self.urgent:
            self._read_urgent(self._urgent.popleft())
        elif self._to_list:
            self._list(*self._to_list.popleft())
        elif self._index is not None and not self._finished:
            self._choose_next()

    def take_changes(self) -> Changes:
        """Return the changes since the last call."""
        taken, self._changes = self._changes, Changes()
        return taken

    def _list(self, folder: str, above: IgnoreRules) -> None:
        holder = self._holder(folder)
        if holder is None:
            return
        found = self._limited(folder, list_folder, folder, above, self._plan.is_disabled)
        if found is None:
            self._forget_folder(folder)
            return
        room = MOST_FILES - len(self._listed)
        if len(found.files) > room:
            self._remark(f"{holder} has more than {MOST_FILES:,} files; the others are not indexed.")
            found = FolderListing(dict(islice(found.files.items(), max(0, room))), (), found.rules)
        former = self._listings.get(folder, FolderListing())
        for path in former.files.keys() - found.files.keys():
            self._listed.pop(path, None)
        # Those of open files may have been listed before this one.
        opened = {_step_towards(each.folder, folder) for each in self._opened}
        for inner in {*former.folders, *opened} - {*found.folders, *self._plan.folders, ""}:
            self._forget_folder(inner)
        self._listings[folder], self._above[folder] = found, above
        self._listed.update(found.files)
        # A folder of the workspace inside of another one is listed by itself.
        for inner in found.folders:
            if inner not in self._listings and inner not in self._plan.folders:
                self._to_list.append((inner, found.rules))
        if any(opened.folder == folder for opened in self._opened):
            self._urgent.extend(found.files)

    def _read_urgent(self, path: str) -> None:
        if path in self._listed and path not in self._reported:
            file = self._version(path)
            if not file.problem and self._room + file.room <= self._plan.max_tokens:
                self._report(file)

    def _choose_next(self) -> None:
        """Go on with the choice of files until one had to be read, or all are chosen."""
        if self._order is None:
            self._order = order_files(self._listed, self._opened, self._recent)
            self._at, self._chosen_room, self._chosen = 0, 0, set()
        while self._at < len(self._order):
            path = self._order[self._at]
            self._at += 1
            if path not in self._listed:
                continue
            is_read = self._is_current(path)
            file = self._version(path)
            if not file.problem and self._chosen_room + file.room <= self._plan.max_tokens:
                self._chosen_room += file.room
                self._chosen.add(path)
                self._report(file)
            elif not file.problem and self._chosen_room >= _FULL * self._plan.max_tokens:
                break
            if not is_read:
                return
        self._finish()

    def _finish(self) -> None:
        for path in self._reported.keys() - self._listed.keys():
            self._withdraw(path)
        for path in self._reported.keys() - self._chosen:
            self._drop(path)
        problems = {path: file for path, file in self._read.items() if file.problem and path in self._listed}
        self._read = {**problems, **self._reported}
        self._saved.clear()
        self._finished = True

    def _choose_again(self) -> None:
        self._finished, self._order = False, None
        self._urgent.clear()
        for opened in reversed(self._opened):
            if opened.folder in self._listings:
                self._urgent.extend(self._listings[opened.folder].files)
            elif (rules := self._rules_down_to(opened.folder)) is not None:
                self._to_list.appendleft((opened.folder, rules))

    def _rules_down_to(self, folder: str) -> IgnoreRules | None:
        """Return the rules above a folder that the walk has not reached yet; None if it never will."""
        holder = self._holder(folder)
        if holder is None:
            return None
        rules = self._limited(holder, IgnoreRules.above, holder) or IgnoreRules()
        path = holder
        for name in os.path.relpath(folder, holder).split(os.sep):
            if name == os.curdir:
                break
            rules = self._limited(path, rules.entering, path) or rules
            path = os.path.join(path, name)
            if is_left_out_folder(name) or rules.ignores(path, is_folder=True):
                return None
        return rules

    def _is_current(self, path: str) -> bool:
        file = self._read.get(path)
        return file is not None and file.stamp == self._listed.get(path)

    def _version(self, path: str) -> IndexedFile:
        """Return a listed file as it is now; read it if no version that was read or saved is the same."""
        if self._is_current(path):
            return self._read[path]
        saved = self._saved.pop(path, None)
        file = saved if saved is not None and saved.stamp == self._listed[path] else self._read_now(path)
        self._read[path] = file
        if path in self._listed:
            self._listed[path] = file.stamp
        if file.problem and path in self._reported:
            self._withdraw(path)
        return file

    def _read_now(self, path: str) -> IndexedFile:
        # Where it can't be read, it is not read again before it changes.
        stamp = self._listed[path]
        reading = self._limited(path, read_file, path)
        if reading is None:
            return IndexedFile(path, stamp=stamp, problem="no answer")
        if reading.problem or self._index is None:
            return IndexedFile(path, stamp=stamp, problem=reading.problem)
        return self._index(path, reading)

    def _report(self, file: IndexedFile) -> None:
        former = self._reported.get(file.path)
        if former is not file:
            self._room += file.room - (former.room if former is not None else 0)
            self._reported[file.path] = file
            self._changes.files.append(file)

    def _withdraw(self, path: str) -> None:
        self._changes.withdrawn = True
        self._drop(path)

    def _drop(self, path: str) -> None:
        self._room -= self._reported.pop(path).room
        self._changes.gone.append(path)

    # --- Folders

    def _may_index(self, folder: str) -> bool:
        reason = self._limited(folder, refuse, folder)
        if reason:
            self._remark(f"{folder} is not indexed: {reason}. Open the folder of a project.")
        return reason == "" and self._hangs[folder] < _MOST_HANGS

    def _holder(self, path: str) -> str | None:
        """Return the innermost folder of the workspace that holds a path; None outside of all."""
        holding = [
            folder for folder in self._plan.folders if path == folder or path.startswith(folder + os.sep)
        ]
        return max(holding, key=len, default=None)

    def _nearest_listed(self, folder: str) -> str:
        """Return the innermost folder that was listed and holds a folder, or is it."""
        while folder not in self._listings and folder not in self._plan.folders:
            folder = os.path.dirname(folder)
        return folder

    def _look_below(self, folder: str) -> None:
        """List a folder and all below it again, by rules that changed."""
        # Of a folder that the walk has not reached, some inner one may be listed already, for an open file.
        above = self._above.get(folder, dict(self._to_list).get(folder))
        if above is not None:
            self._forget_folder(folder)
            self._to_list.append((folder, above))
            inner = (each for each in self._plan.folders if each != folder and _is_below(each, folder))
            self._to_list.extend((each, self._above[each]) for each in inner if each in self._above)

    def _forget_folder(self, folder: str) -> None:
        """Forget what was listed in a folder and below it; what was read there is dropped in the end."""
        holder = self._holder(folder)

        def stays(each: str) -> bool:
            return not _is_below(each, folder) or self._holder(each) != holder

        for each in [each for each in self._listings if not stays(each)]:
            del self._above[each]
            for path in self._listings.pop(each).files:
                self._listed.pop(path, None)
        self._to_list = deque(waiting for waiting in self._to_list if stays(waiting[0]))

    # --- What goes wrong

    def _limited(self, path: str, function: Callable[..., T], *arguments: object) -> T | None:
        """Call a function that reads the disk; None if it fails or takes too long."""
        try:
            return self._limit.call(lambda: function(*arguments))
        except TimeoutError:
            holder = self._holder(path) or path
            self._hangs[holder] += 1
            self._remark(f"The disk of {holder} does not answer; some of its files are not indexed.")
            if self._hangs[holder] == _MOST_HANGS and holder in self._plan.folders:
                self._remark(f"{holder} is not indexed: its disk does not answer.")
                self._forget_folder(holder)
                folders = tuple(folder for folder in self._plan.folders if folder != holder)
                self._plan = IndexPlan(folders, self._plan.max_tokens, self._plan.is_disabled)
        except OSError as error:
            logger.debug("%s: %s", path, error)
            if isinstance(error, PermissionError) and path in self._plan.folders:
                self._remark(f"{path} is not indexed: there is no permission to read it.")
        return None

    def _remark(self, text: str) -> None:
        if text not in self._remarked:
            self._remarked.add(text)
            self._changes.remarks.append(text)


def _step_towards(path: str, folder: str) -> str:
    """Return the folder in ``folder`` that leads to a path below it; empty for none."""
    if path == folder or not _is_below(path, folder):
        return ""
    return os.path.join(folder, path[len(folder) :].lstrip(os.sep).split(os.sep)[0])


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)
