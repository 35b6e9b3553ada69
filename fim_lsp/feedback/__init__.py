"""Statistics of suggestions: shown, accepted, typed or rejected. They stay on this machine.

``events`` are what the server sees of one document, ``observation`` decides from them what became of each
suggestion, ``persistence`` measures what is left of an accepted text, ``store`` keeps numbers in an SQLite
file, which only the thread of ``writer`` touches, and ``statistics`` sums them up. ``recorder`` connects
these parts for one session.
"""
