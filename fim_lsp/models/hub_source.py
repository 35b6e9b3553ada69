"""Fetch models from the Hugging Face hub, with downloads that a later call resumes.

``huggingface_hub.hf_hub_download`` resumes within one call, but deletes its partial file when the call fails
or is interrupted (2.4.0; its pull request 4228). On a weak line eight gigabytes would never arrive. So the
hub's client handles endpoint, login and errors, and the bytes are written here, to a partial file named after
their digest. ``HF_ENDPOINT``, ``HF_TOKEN`` and ``HF_HUB_OFFLINE`` have the client's meaning.
"""

from __future__ import annotations

import importlib
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from fim_lsp.models import ModelError
from fim_lsp.models.catalog import HubSource
from fim_lsp.models.disk import check_room, disk_errors
from fim_lsp.models.progress import OnProgress, Progress

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

_SHA256 = re.compile(r"[0-9a-f]{64}")
_TIMEOUT_SECONDS = 20.0
_TRIES_WITHOUT_PROGRESS = 4
_PAUSE_SECONDS = 1.0


@frozen
class HubFile:
    """A file on the hub, as its metadata describes it."""

    url: str
    commit: str
    digest: str
    """The ETag without quotes."""
    size: int

    @property
    def sha256(self) -> str | None:
        """The file's sha256, which is the ETag of files that are stored as LFS or Xet; else None."""
        return self.digest if _SHA256.fullmatch(self.digest) else None


def look_up(source: HubSource) -> HubFile:
    """Ask the hub for a file's revision, size and digest, without fetching it.

    Raises:
        ModelError: no such file, no permission, or no connection.
    """
    import huggingface_hub

    endpoint = os.environ.get("HF_ENDPOINT") or None
    name = {"repo_id": source.repo_id, "filename": source.filename}
    url = huggingface_hub.hf_hub_url(**name, revision=source.revision, endpoint=endpoint)
    try:
        found: HfFileMetadata = huggingface_hub.get_hf_file_metadata(url, timeout=_TIMEOUT_SECONDS)
    except Exception as error:
        raise _in_words(source, error) from error
    if not (found.commit_hash and found.etag and found.size):
        raise ModelError(
            f"{url} was not answered by a Hugging Face hub.", "Check HF_ENDPOINT, the proxy and the firewall."
        )
    # The URL names the commit, so that a push during the download can't mix two files.
    pinned = huggingface_hub.hf_hub_url(**name, revision=found.commit_hash, endpoint=endpoint)
    return HubFile(pinned, found.commit_hash, found.etag, found.size)


def fetch_from_hub(source: HubSource, file: HubFile, partial: Path, on_progress: OnProgress) -> None:
    """Fetch the rest of a file into ``partial``, which stays there if this fails.

    A broken connection is tried again as long as new tries bring bytes.

    Raises:
        ModelError: the hub refused, the connection stayed broken, or the disk is full.
    """
    have, fruitless = _size(partial), 0
    check_room(partial.parent, file.size - have)
    while have < file.size:
        failure: Exception = ConnectionError("the hub sent nothing")
        try:
            _append(file, partial, have, on_progress)
        except ModelError:
            raise
        except Exception as error:
            if not isinstance(error, _transport_errors()):
                raise _in_words(source, error) from error
            failure = error
        arrived = _size(partial)
        fruitless = 0 if arrived > have else fruitless + 1
        if fruitless > _TRIES_WITHOUT_PROGRESS:
            raise _in_words(source, failure) from failure
        have = arrived
        time.sleep(_PAUSE_SECONDS if have < file.size else 0)


def _append(file: HubFile, partial: Path, have: int, on_progress: OnProgress) -> None:
    """Request the file from byte ``have`` on and append it."""
    from huggingface_hub import get_session

    # huggingface_hub exports lazily, which mypy can't see (2.4.0).
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

    extra = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    headers = build_hf_headers(headers=extra)
    with get_session().stream("GET", file.url, headers=headers, timeout=_TIMEOUT_SECONDS) as response:
        if response.is_error:
            response.read()
        hf_raise_for_status(response)
        # A server that ignores Range answers 200 with everything.
        resumed = response.status_code == 206
        with disk_errors(partial), partial.open("ab" if resumed else "wb") as output:
            # No chunk size: a broken connection would lose the bytes of an incomplete chunk.
            for chunk in response.iter_bytes():
                output.write(chunk)
                on_progress(Progress("fetch", output.tell(), file.size))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _transport_errors() -> tuple[type[Exception], ...]:
    """Return the errors of the hub's HTTP client for broken connections: httpx's, httpx2's since hub 2.0."""
    from huggingface_hub import get_session

    client: Any = importlib.import_module(type(get_session()).__module__.partition(".")[0])
    return (client.TransportError,)


def _in_words(source: HubSource, error: Exception) -> ModelError:
    """Turn an error of the hub into a problem and a remedy; the most special classes come first."""
    from huggingface_hub import errors

    where = f"{source.repo_id}/{source.filename}"
    page = f"https://huggingface.co/{source.repo_id}"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return ModelError(f"HF_HUB_OFFLINE is set, so {where} was not fetched.", "Unset it and pull again.")
    if isinstance(error, errors.GatedRepoError):
        return ModelError(
            f"{source.repo_id} asks for its licence to be accepted first.",
            f"Accept it at {page}, then log in (hf auth login, or set HF_TOKEN) and pull again.",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelError(
            f"{source.repo_id} has no revision {source.revision}.", f"See what there is: {page}."
        )
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return ModelError(f"{source.repo_id} has no file {source.filename}.", f"See what there is: {page}.")
    if isinstance(error, errors.RepositoryNotFoundError):
        return ModelError(
            f"{source.repo_id} doesn't exist, or is private.",
            "If it is yours, log in (hf auth login, or set HF_TOKEN) and pull again.",
        )
    if isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code
        if status in (401, 403):
            return ModelError(
                f"The hub refused {where} (HTTP {status}).",
                "Log in with a token that may read it (hf auth login, or set HF_TOKEN) and pull again.",
            )
        return ModelError(f"The hub failed on {where} (HTTP {status}).", "Pull again later; it resumes.")
    if isinstance(error, (*_transport_errors(), ConnectionError)):
        return ModelError(
            f"The line to the hub failed while fetching {where}: {str(error) or type(error).__name__}.",
            "Check the network (and HF_ENDPOINT, if you set it), then pull again; it resumes.",
        )
    return ModelError(f"{where} could not be fetched: {error}.", "Pull again; it resumes.")
