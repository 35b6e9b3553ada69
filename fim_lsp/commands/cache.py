"""``fim-lsp cache``: show or delete the KV states that are saved on the disk."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``cache``."""
    parser.add_argument("--clear", action="store_true", help="delete all saved KV states")


def run(parsed: argparse.Namespace) -> int:
    """Print the number and size of saved KV states, or delete them. Models and settings stay."""
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
