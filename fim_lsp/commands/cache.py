"""``fim-lsp cache``: how much evaluated code is kept on the disk, and its end."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``cache``."""
    parser.add_argument("--clear", action="store_true", help="delete all of it")


def run(parsed: argparse.Namespace) -> int:
    """Say what is there, and delete it where asked to; models and settings stay."""
    from fim_lsp.engine.kv_state_store import clear_kv_states, kv_state_files
    from fim_lsp.paths import kv_states_folder

    root = kv_states_folder()
    files = kv_state_files(root)
    if parsed.clear:
        clear_kv_states(root)
    size = sum(stat.st_size for _, stat in files) / 1e6
    verb = "Deleted" if parsed.clear else f"In {root}:"
    print(f"{verb} {len(files)} evaluated state{'s' * (len(files) != 1)}, {size:,.0f} MB")
    return 0
