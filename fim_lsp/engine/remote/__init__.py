"""A model on another server, asked over HTTP: the prompt is built here, and only evaluated there.

``address`` reads the server's address, ``detection`` asks what it is, ``dialects`` knows the requests and
answers of each kind, ``text_tokenizer`` and ``encoding`` turn a prompt into text or token ids in which user
text spells no marker, ``client`` sends requests and reads streams, ``answer_stream`` makes a generation of
what comes, ``circuit`` keeps away from a server that fails, ``engine`` puts them together, ``fallback`` lets
a local model answer meanwhile.

Each request runs in a small asyncio loop on the inference thread, which looks at the cancel flag every few
milliseconds. Cancelling closes the connection: that is what servers take as the end of a request.
"""

from fim_lsp.engine.remote.engine import RemoteEngine, open_remote
from fim_lsp.engine.remote.errors import RemoteError
from fim_lsp.engine.remote.fallback import FallbackEngine

__all__ = ["FallbackEngine", "RemoteEngine", "RemoteError", "open_remote"]
