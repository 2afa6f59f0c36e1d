"""The page in a real browser: keys, judgements, the saved file, and that hostile names stay text."""

import json
import runpy
import time
from pathlib import Path

import pytest

from personsearch.errors import InputError
from personsearch.report.html import PageOptions, search_page
from personsearch.report.review import read_judgements

_browser = runpy.run_path(str(Path(__file__).with_name("browser.py")))
Browser, PROGRAM = _browser["Browser"], _browser["PROGRAM"]
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium on this machine")

EVIL = "</script><img src=x onerror='document.title=1'>\"\n.jpg"


def text(browser, name):
    return browser.value(f"document.getElementById({name!r}).textContent")


def saved(browser, folder):
    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    browser.press("s")
    file, end = folder / "judgements.json", time.monotonic() + 10
    while not file.exists() and time.monotonic() < end:
        time.sleep(0.05)
    return read_judgements(file)


def test_a_review_by_keyboard(result, picture, tmp_path):
    def load(name):
        if name == EVIL:
            raise InputError(f"{name} is gone")
        return picture(64, 48)

    hits = result(*[(name, [1, 1, 9, 30]) for name in ("a.jpg", "f\udce9.jpg", EVIL, "d.jpg")], query=EVIL)
    page = tmp_path / "page.html"
    page.write_text(search_page(hits, picture(60, 48), load, PageOptions(title=EVIL, rejected=hits.hits[3:])))
    with Browser(tmp_path / "home") as browser:
        browser.open(page)
        assert text(browser, "judged-count") == "0 of 5 judged"
        for key in ("y", "n", "k", "k", "j", "ArrowRight", "u", "ArrowLeft"):
            browser.press(key)
        # yes to 1, no to 2, back to 1, forward to 3, unsure, which goes on to 4, and back to 3
        assert text(browser, "now-name") == "Hit 3"
        assert "is gone" in text(browser, "now-scene")
        assert text(browser, "judged-count") == "3 of 5 judged"
        assert "not sure" in text(browser, "said").lower()
        browser.press("?")
        assert browser.value("document.getElementById('help').open")
        browser.press("y")  # not while the list of keys is open
        browser.press("Escape")
        browser.press("n", modifiers=2)  # Ctrl: the browser's
        assert text(browser, "judged-count") == "3 of 5 judged"
        file = saved(browser, tmp_path)
        assert [(one.detection, one.picture, one.same) for one in file.judged] == [
            (0, "a.jpg", True),
            (1, "f\udce9.jpg", False),
        ]
        assert file.query == EVIL
        browser.open(page)  # again: nothing is lost
        assert text(browser, "judged-count") == "3 of 5 judged"
        browser.press("y")  # a second yes takes it back
        assert text(browser, "judged-count") == "2 of 5 judged"
        browser.value("document.getElementById('shortcuts').click()")
        browser.press("n")
        assert text(browser, "judged-count") == "2 of 5 judged"
        assert browser.value("document.title") != "1"
        wide = browser.value("document.documentElement.scrollWidth <= innerWidth")
        assert wide
        browser.call(
            "Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=True
        )
        assert browser.value("document.documentElement.scrollWidth <= innerWidth")
        asked = [
            e["params"]["request"]["url"][:5]
            for e in browser.events
            if e.get("method") == "Network.requestWillBeSent"
        ]
        assert set(asked) <= {"file:", "data:", "blob:"}
        wrong = ("Runtime.exceptionThrown", "Log.entryAdded")
        assert [e for e in browser.events if e.get("method") in wrong] == []
    json.loads((tmp_path / "judgements.json").read_text())
