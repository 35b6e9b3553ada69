"""A notebook: a cell is completed with the cells above it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from .conftest import PICTURES
from .workbench import INLINE, LONG_S, Workbench

pytestmark = pytest.mark.timeout(900)

ABOVE = "def fetch_quarterly_totals(region, year):\n    return TABLE[region][year]\n"


def notebook(*cells: str) -> str:
    """Return the text of an .ipynb file."""
    return json.dumps(
        {
            "cells": [
                {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": cell}
                for cell in cells
            ],
            "metadata": {"language_info": {"name": "python"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


def test_a_cell_knows_the_cell_above(workbench: Workbench) -> None:
    file = workbench.server.workspace / "report.ipynb"
    file.write_text(notebook(ABOVE, "totals = fetch_quar"), encoding="utf-8")
    page = workbench.page
    workbench.press("Control+p")
    box = page.wait_for_selector(".quick-input-widget input[type=text]")
    assert box is not None
    box.fill(str(file))
    page.wait_for_selector(
        f".quick-input-list .monaco-list-row[aria-label*='{file.name}']", timeout=LONG_S * 1000
    )
    workbench.press("Enter")
    cell = page.locator(".notebookOverlay .code .monaco-editor").nth(1)
    cell.wait_for(timeout=LONG_S * 1000)
    cell.locator(".view-line").first.click()
    workbench.press("End")
    workbench.type("t")
    ghost = page.locator(".notebookOverlay .ghost-text-decoration, .notebookOverlay .ghost-text")
    ghost.first.wait_for(timeout=LONG_S * 1000)
    workbench.screenshot(PICTURES / "notebook.png")
    assert "".join(ghost.all_inner_texts()).startswith("erly_totals(")
    asked: list[Any] = [
        params for params in workbench.server.record.sent_of(INLINE) if quote("report.ipynb") in str(params)
    ]
    assert asked, "the request names the cell"
