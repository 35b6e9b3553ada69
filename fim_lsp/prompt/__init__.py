"""Build prompts: pure functions, without files, clocks or processes.

:mod:`.builder` makes a prompt from a document, a template (:mod:`.templates`, :mod:`.families`,
:mod:`.markers`), an anchor (:mod:`.anchor`) and snippets of other files (:mod:`.snippets`,
:mod:`.repository`), each cut to its token budget (:mod:`.window`).
"""
