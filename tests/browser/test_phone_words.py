"""The phone has words for everything that the protocol can refuse, close or end with."""

from __future__ import annotations

import pytest

from signalling.codes import Close, Code, Reason
from tests.browser.chromium import Visitors

pytestmark = pytest.mark.chromium

MEDIA = ["NotAllowedError", "NotFoundError", "NotReadableError", "OverconstrainedError"]
# Those after which a client does not come back by itself.
CLOSED_FOR_GOOD = 4400

SAID = """async ({ errors, closed, reasons }) => {
  const { sayClosed, sayEnd, sayError } = await import("/assets/phone/words.js");
  const end = (reason, role, by) => sayEnd({ reason, role, by, peer: { name: "Kai" } });
  return {
    errors: errors.map((code) => sayError({ code, message: "" })),
    closed: closed.map(sayClosed),
    reasons: reasons.flatMap((reason) =>
      ["caller", "callee"].flatMap((role) =>
        ["caller", "callee", "server"].map((by) => end(reason, role, by).text),
      ),
    ),
    nothing: [sayError({ code: "?" }), sayClosed(4999), end("?", "caller", "server").text],
  };
}"""


async def test_every_code_close_and_reason_has_words_of_its_own(people: Visitors) -> None:
    page = await people.visit()
    wanted = {
        "errors": [*Code, *MEDIA],
        "closed": [int(each) for each in Close if each >= CLOSED_FOR_GOOD],
        "reasons": [each for each in Reason if each is not Reason.SERVER_ERROR],
    }
    said = await page.evaluate(SAID, wanted)
    for kind in wanted:
        for words in said[kind]:
            assert words not in said["nothing"], f"{kind}: {said[kind]}"
            assert "undefined" not in words
