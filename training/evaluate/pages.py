"""Write a report as Markdown, and as one HTML file that needs no other file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from training.evaluate.tables import Table, all_tables

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 0 0 2rem; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #8884; text-align: right; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 0 0 2rem; background: #fff; overflow-x: auto; }
section { overflow-x: auto; }
"""
_TEXTS = (
    "An answer has three texts: all that the model generated until its end token or a limit (written), its "
    "beginning, up to the point at which the server's stop rules ended it (stopped), and the text that an "
    "editor would insert (shown)."
)


def as_markdown(report: Mapping[str, Any]) -> str:
    """Return the tables under headings, in GitHub's Markdown."""
    parts = ["# Evaluation", "", *_summary(report), "", _TEXTS, ""]
    for table in all_tables(report):
        parts += [f"## {table.title}", "", *_markdown_rows(table), ""]
    parts += ["## Metrics", ""]
    parts += [
        f"- `{name}` ({metric['unit']}): {metric['about']}" for name, metric in report["metrics"].items()
    ]
    return "\n".join(parts) + "\n"


def _markdown_rows(table: Table) -> Iterator[str]:
    yield _markdown_row(table.headings)
    yield "|" + "|".join([" --- ", *(" ---: " for _ in table.headings[1:])]) + "|"
    yield from map(_markdown_row, table.rows)


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def as_html(report: Mapping[str, Any], plots: Sequence[str]) -> str:
    """Return tables and plots as HTML; the plots are SVG elements and are put in unchanged."""
    tables = all_tables(report)
    body = [f"<p>{'<br>'.join(map(escape, _summary(report)))}</p>", f"<p>{escape(_TEXTS)}</p>"]
    body += [_html_table(table) for table in tables[:2]]
    body += [f"<figure>{plot}</figure>" for plot in plots]
    body += [_html_table(table) for table in tables[2:]]
    body.append(f"<h2>Metrics</h2><dl>{''.join(_definitions(report))}</dl>")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Evaluation</title>'
        f"<style>{_STYLE}</style></head><body><h1>Evaluation</h1>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _html_table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.headings)
    rows = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in table.rows)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    grid = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<section><h2>{escape(table.title)}</h2>{grid}</section>"


def _definitions(report: Mapping[str, Any]) -> Iterator[str]:
    for name, metric in report["metrics"].items():
        about, unit = escape(metric["about"]), escape(metric["unit"])
        yield f"<dt><code>{escape(name)}</code></dt><dd>{about} ({unit})</dd>"


def _summary(report: Mapping[str, Any]) -> list[str]:
    """Describe holes, limits and models, a line each."""
    run = report["run"]
    sets = ", ".join(f"{name} ({count})" for name, count in run["sets"].items())
    models = [f"{name}: {arm['model']} ({arm['sha256'][:12]})" for name, arm in run["arms"].items()]
    limits = f"at most {run['max_tokens']} tokens an answer, seed {run['seed']}, cut {run['cut']}"
    return [f"Holes: {sets}; {limits}.", *models]
