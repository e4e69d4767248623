"""``/docs`` in a real browser."""

import json
from pathlib import Path

import pytest

from tests.support.browser import CHROMIUM
from tests.support.browser_page import open_page
from tests.support.server import PASSWORD, Site

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

#: Waits for an element; a page that never shows it is a hang, which the browser's own timeout ends.
APPEARS = """
const appears = (selector, within = document) => new Promise((found) => {
  const look = () => {
    const element = within.querySelector(selector);
    if (element) found(element); else requestAnimationFrame(look);
  };
  look();
});
"""


async def test_a_token_of_signing_in_is_used_by_one_click(server: Site, tmp_path: Path) -> None:
    person = await server.person("Carla Customer")
    me = (await server.request("GET", "/auth/current-user/", person)).json["email"]
    body = json.dumps({"email": me, "password": PASSWORD})

    async with open_page(f"{server.url}/docs", tmp_path) as page:
        shown = await page.run(
            f"""{APPEARS}
            const open = async (route) => {{
              const card = await appears(`.card[data-words*=" ${{route}} "]`);
              card.open = true;
              (await appears(".try", card)).open = true;
              return card;
            }};
            const signIn = await open("post /auth/signin/");
            (await appears("textarea", signIn)).value = {json.dumps(body)};
            (await appears("button[type=submit]", signIn)).click();
            (await appears(".result button.main", signIn)).click();
            const current = await open("get /auth/current-user/");
            (await appears("button[type=submit]", current)).click();
            return (await appears(".result pre", current)).textContent;
            """
        )

    assert me in shown
