"""The index of the workspace: the tokens of its files, for the repository memory, and the names in them.

A child process does the work: it walks the folders, reads, screens and tokenises files, and saves the result.
A thread would not do. Walking and screening are loops of Python code, which hold the interpreter's lock for
5 ms at a time while a keystroke or the inference thread waits for it; a read from a network drive that hangs
can't be ended in a thread; and the priority of a process can be lowered on every system. The server receives
arrays, which cost it microseconds, and sorts them in a thread, in numpy, which holds no lock meanwhile.

In the child: ``process`` is its loop, ``indexer`` what it knows, ``walk`` lists a folder, ``ignore_rules``
and ``file_names`` tell what is left out by its name, ``file_text``, ``content`` and ``secrets`` what by its
content, ``words`` finds names, ``nearness`` and ``git_history`` put the nearest files first, ``time_limit``
gives up on reads that hang, ``index_file`` keeps all of it on the disk.

In the server: ``index`` is what a session uses, ``child`` the connection, ``corpora`` sorts, ``names`` tells
which names are known, ``related`` finds files for snippets. ``frames`` is what travels between both.
"""
