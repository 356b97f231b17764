"""Answers that the page gets instead of the service's own, and a clock that runs ahead: outages without waiting."""

import json
from typing import Any

from tests.support.chromium.driver import Page

# A rule is a part of an address and what becomes of a request there: "hang", "gone", or a function of the answer's
# body that returns another body, or a [status, body].
_SCRIPT = """
window.rules = {rules};
window.aheadMs = 0;
const [realFetch, realNow] = [window.fetch, Date.now];
Date.now = () => realNow() + window.aheadMs;
window.fetch = async (url, options) => {{
  const [, rule] = window.rules.find(([part]) => String(url).includes(part)) ?? [];
  const {{ signal }} = options;
  if (rule === "hang") return new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)));
  if (rule === "gone") throw new TypeError("Failed to fetch");
  const answer = await realFetch(url, options);
  if (rule === undefined) return answer;
  const body = await answer.json().catch(() => ({{}})); // HEAD and exports have none
  const changed = rule(body) ?? body;
  const [status, told] = Array.isArray(changed) ? changed : [answer.status, changed];
  return new Response(JSON.stringify(told), {{ status, headers: {{ Date: answer.headers.get("Date") ?? "" }} }});
}};
"""
REASSURING = ("none in this time", "nothing waits", "everything was taken", "ready", "all is well")


async def intercept(tab: Page, rules: str = "[]") -> None:
    """Prepare a tab, before it opens a page, so that `rule` takes effect; `rules` hold from its first request on."""
    await tab.send("Page.addScriptToEvaluateOnNewDocument", source=_SCRIPT.format(rules=rules))


async def rule(tab: Page, *rules: tuple[str, str]) -> None:
    """Answer from now on by these rules only: part of an address, and a JavaScript expression of what happens there."""
    made = ", ".join(f"[{json.dumps(part)}, {what}]" for part, what in rules)
    await tab.run(f"(window.rules = [{made}]).length")


def problem(status: int, title: str, code: str) -> str:
    """Return what makes an answer a problem document."""
    return f"() => [{status}, {json.dumps({'title': title, 'status': status, 'code': code})}]"


def sink(**changed: Any) -> str:
    """Return what changes the state of the table of records in what health says."""
    return f"(body) => {{ Object.assign(body.sinks.records, {json.dumps(changed)}); }}"


async def check_no_reassurance(tab: Page) -> None:
    """No tile and no sign at the top says that all is well."""
    said = (
        await tab.run("document.querySelector('#figures').innerText + document.querySelector('#state').innerText")
    ).lower()
    assert not [words for words in REASSURING if words in said], said
