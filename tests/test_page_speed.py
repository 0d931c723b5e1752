"""The speed that a panel tells is never more than the text can have been written with."""

import re
import time

from playwright.sync_api import Page, Route, expect

from tests.conftest import LiveServer
from tests.test_page_compare import open_page, panel

HELD_S, LENGTH = 0.4, 200


def test_a_text_that_comes_all_at_once_tells_no_speed_that_there_was_not(
    page: Page, live: LiveServer
) -> None:
    def hold(route: Route) -> None:
        answer = route.fetch()
        time.sleep(HELD_S)
        route.fulfill(response=answer)

    page.route("**/v1/completions", hold)
    open_page(page, live, length=LENGTH)
    page.locator("#generate").click()
    status = panel(page, 0).locator("[data-part=status]")
    expect(status).to_contain_text("bits each")
    told = re.search(r"([\d,]+)/s", status.inner_text())
    assert told
    assert 0 < int(told[1].replace(",", "")) <= LENGTH / HELD_S
