"""What holds for every page."""

from __future__ import annotations

import pytest

from tests.browser.chromium import Visitors

pytestmark = pytest.mark.chromium


@pytest.mark.parametrize("path", ["/", "/console"])
async def test_a_page_opens_without_an_error_or_another_server(people: Visitors, path: str) -> None:
    page = await people.visit(path)
    await page.wait_for_load_state("networkidle")
    assert "Talktime" in await page.title()
