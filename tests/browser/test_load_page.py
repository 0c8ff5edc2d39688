"""The page that a load run writes, opened from the disk."""

from pathlib import Path

import pytest

from signalling.client.load.files import write_html
from tests.browser.chromium import visitors
from tests.signalling.client.load.test_files import CHARTS, whole

pytestmark = pytest.mark.chromium
CHARTS_SHOWN = 5


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_report_draws_its_charts_and_asks_nobody(tmp_path: Path, scheme: str) -> None:
    path = tmp_path / "load.html"
    write_html(whole(), path, CHARTS)
    asked: list[str] = []
    async with visitors(path.as_uri()) as there:
        context = await there.visitor(scheme="dark" if scheme == "dark" else "light")
        page = await context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(path.as_uri())
        assert await page.locator(".uplot canvas").count() == CHARTS_SHOWN
        back = "getComputedStyle(document.body).backgroundColor"
        before = await page.evaluate(back)
        await page.get_by_role("button", name="Dark or light").click()
        assert await page.evaluate(back) != before
        assert await page.locator(".uplot canvas").count() == CHARTS_SHOWN
        await there.check_access(page)
        assert there.faults == []
    assert asked == [path.as_uri()]
