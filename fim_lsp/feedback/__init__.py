"""What became of suggestions: shown, accepted, typed through or rejected, and kept on this machine alone.

``observation`` watches one document, ``persistence`` looks again later, ``store`` keeps numbers in SQLite on
the thread of ``writer``, ``statistics`` sums them up; ``recorder`` holds these together for one session.
"""
