"""Operators and the rest: jobs, webhooks, log-ins, standing."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from rest.graphql import hello
from storage.pool import Connection
from tests.browser.chromium import Visitors
from tests.browser.operating import delay_job, enter, fail_job, receiver
from tests.browser.test_console_calls import confirm
from tests.end_to_end.driver import site

pytestmark = pytest.mark.chromium


async def test_failed_jobs_are_tried_again_or_taken_off(
    people: Visitors, books: Connection
) -> None:
    first, second = await fail_job(books), await fail_job(books)
    page = await people.visit("/console")
    await enter(page)
    await page.get_by_role("link", name="Jobs", exact=True).click()
    await page.get_by_role("button", name="Failed 2").click()
    row = page.get_by_role("row", name=f"job {first} ")
    await expect(row).to_contain_text("TimeoutError: the gateway did not answer")
    await row.get_by_role("button", name="Retry").click()
    await page.get_by_role("dialog").get_by_role("button", name="Retry").click()
    await expect(page.get_by_role("button", name="Failed 1")).to_be_visible()
    await (
        page.get_by_role("row", name=f"job {second} ").get_by_role("button", name="Cancel").click()
    )
    await page.get_by_role("dialog").get_by_role("button", name="Cancel job").click()
    await expect(page.get_by_text("No job has failed.")).to_be_visible()


async def test_a_delayed_job_is_run_now_and_one_that_nobody_needs_is_cancelled(
    people: Visitors, books: Connection
) -> None:
    early, needless = await delay_job(books, hello.JOB), await delay_job(books)
    # No handler takes it, so it waits.
    waiting = await delay_job(books, "of_another_release")
    await books.execute("update pgqueuer set execute_after = now() where id = $1", waiting)
    page = await people.visit("/console")
    await enter(page)
    await page.get_by_role("link", name="Jobs", exact=True).click()
    await expect(page.get_by_role("row", name=f"job {waiting} ")).to_be_visible()
    await people.check_access(page)
    await page.get_by_role("button", name="Delayed 2").click()
    row = page.get_by_role("row", name=f"job {early} ")
    await expect(row).to_contain_text(hello.JOB)
    await expect(row).to_contain_text("in 59 min")
    await people.check_access(page)
    await row.get_by_role("button", name="Run now").click()
    await page.get_by_role("dialog").get_by_role("button", name="Run now").click()
    await expect(page.get_by_role("button", name="Delayed 1")).to_be_visible()
    row = page.get_by_role("row", name=f"job {needless} ")
    await row.get_by_role("button", name="Cancel").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel job").click()
    await expect(page.get_by_text("No job waits for its time.")).to_be_visible()

    await page.get_by_role("button", name="Waiting 1").click()
    row = page.get_by_role("row", name=f"job {waiting} ")
    await row.get_by_role("button", name="Cancel").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel job").click()
    await expect(page.get_by_text("No job is due.")).to_be_visible()
    await page.get_by_role("button", name="Active 0").click()
    await expect(page.get_by_text("No job is being done.")).to_be_visible()
    done = "select entrypoint, status::text from pgqueuer_log where job_id = $1 order by id desc"
    assert tuple(await books.fetchrow(done, early) or ()) == (hello.JOB, "successful")
    assert tuple(await books.fetchrow(done, needless) or ()) == ("send_sms", "canceled")
    assert await books.fetchval("select count(*) from pgqueuer") == 0


async def test_an_endpoint_is_made_tested_and_told_again(people: Visitors) -> None:
    async with receiver() as endpoint:
        page = await people.visit("/console")
        await enter(page)
        await page.get_by_role("link", name="Webhooks", exact=True).click()
        await page.get_by_role("button", name="New endpoint").click()
        await page.get_by_role("dialog").get_by_label("URL").fill(endpoint.url)
        await page.get_by_role("dialog").get_by_label("call.ended").check()
        await page.get_by_role("dialog").get_by_role("button", name="Create").click()
        secret = page.get_by_role("dialog", name="The endpoint's secret")
        await expect(secret).to_contain_text("whsec_")
        await people.check_access(page)
        await secret.get_by_role("button", name="I have kept it").click()

        await page.get_by_role("button", name="Test", exact=True).click()
        await page.get_by_role("dialog").get_by_role("button", name="Send").click()
        attempts = page.get_by_role("region", name="Attempts")
        await expect(attempts.get_by_role("cell", name="204")).to_have_count(1)
        await people.check_access(page)
        row = page.get_by_role("region", name="Deliveries").get_by_role("row", name="webhook.test")
        await row.get_by_role("button", name="Resend").click()
        await page.get_by_role("dialog").get_by_role("button", name="Resend").click()
        await expect(attempts.get_by_role("cell", name="204")).to_have_count(2)
        assert [each["type"] for each in endpoint.heard] == ["webhook.test"] * 2

        await page.get_by_role("button", name="Disable").click()
        await page.get_by_role("dialog").get_by_role("button", name="Disable").click()
        await expect(page.get_by_role("button", name="Enable")).to_be_visible()


async def test_a_log_in_is_ended_and_its_socket_closes(people: Visitors) -> None:
    async with site(people.url) as there:
        phone = await there.device(await there.login("mia@demo.talktime"), "mia-phone")
        page = await people.visit("/console")
        await enter(page)
        await page.get_by_role("link", name="Users", exact=True).click()
        await page.get_by_role("link", name="Mia").click()
        await page.get_by_role("button", name="Log-ins").click()
        await page.get_by_role("button", name="End", exact=True).click()
        await confirm(page, "End log-in", "A lost phone.")
        await phone.closed()
        await expect(page.get_by_text("Nobody is logged in with this account.")).to_be_visible()
        await page.get_by_role("button", name="Audit", exact=True).click()
        await expect(page.get_by_role("cell", name="A lost phone.")).to_be_visible()


async def test_an_account_is_suspended_and_restored(people: Visitors) -> None:
    async with site(people.url) as there:
        page = await people.visit("/console")
        await enter(page)
        await page.get_by_role("link", name="Users", exact=True).click()
        await page.get_by_role("link", name="Noah").click()
        await page.get_by_role("button", name="Suspend").click()
        await confirm(page, "Suspend", "Reported by several callers.")
        await page.get_by_role("button", name="Restore").click()
        await confirm(page, "Restore", "It was a mistake.")
        await expect(page.get_by_role("button", name="Suspend")).to_be_visible()
        assert await there.login("noah@demo.talktime")
