"""``fim-lsp cache``: show or delete the KV states and indexes of workspaces that are saved on the disk."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``cache``."""
    parser.add_argument("--clear", action="store_true", help="delete all saved KV states and indexes")


def run(parsed: argparse.Namespace) -> int:
    """Print the number and size of saved KV states and indexes, or delete them. Models and settings stay."""
    from fim_lsp.engine.kv_state_store import clear_kv_states, kv_state_files
    from fim_lsp.paths import index_folder, kv_states_folder
    from fim_lsp.workspace.index_file import clear_index_files, index_files

    states, indexes = kv_states_folder(), index_folder()
    found = (
        (states, kv_state_files(states), "evaluated state{}"),
        (indexes, index_files(indexes), "workspace index{}"),
    )
    if parsed.clear:
        clear_kv_states(states)
        clear_index_files(indexes)
    for root, files, kind in found:
        size = sum(stat.st_size for _, stat in files) / 1e6
        verb = "Deleted" if parsed.clear else f"In {root}:"
        plural = ("es" if kind.endswith("x{}") else "s") if len(files) != 1 else ""
        print(f"{verb} {len(files)} {kind.format(plural)}, {size:,.0f} MB")
    return 0
