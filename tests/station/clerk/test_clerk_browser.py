"""The clerk's page in a real browser: on a phone, by keyboard, with scripts and without, and offline in the middle."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tally_stream.station.intake.clerk_words import CLERK_LANGUAGES
from tally_stream.station.receipts import StationReceipt
from tests.support.axe import CONTRAST, violations
from tests.support.clerk_election import HOSTILE
from tests.support.clerk_scene import ClerkScene
from tests.support.small_elections import COUNTED_AT
from tests.support.waiting import wait_for

SHEET = "/station/A-1/MAYOR"
GOOD = {
    "cast": "100", "valid": "96", "blank": "2", "invalid": "2", "votes ANNA": "50", "votes EVIL": "46",
    "counted_at": COUNTED_AT,
}  # fmt: skip
ODD = GOOD | {"cast": "107", "invalid": "9"}
SEND = "button.send"


def fill(page: Any, figures: dict[str, str]) -> None:
    for name, figure in figures.items():
        page.fill(f'[name="{name}"]', figure)


def typed(page: Any) -> dict[str, str]:
    return {name: page.input_value(f'[name="{name}"]') for name in GOOD}


def opened(page: Any, scene: ClerkScene, figures: dict[str, str] | None = None) -> None:
    page.goto(scene.address + SHEET)
    fill(page, figures or {})


def votes_sent(scene: ClerkScene) -> list[dict[str, int]]:
    return [json.loads(value)["votes"] for value in scene.transport.sent]


def test_sums_run_while_the_clerk_types(phone: Any, scene: ClerkScene) -> None:
    opened(phone, scene)
    fill(phone, {"cast": "1100", "valid": "1096", "blank": "2"})
    assert phone.inner_text("#sum-ballots") == "Valid, blank and invalid together: 1,098 of 1,100 cast. 2 left."
    fill(phone, {"invalid": "1"})
    assert phone.inner_text("#sum-ballots").endswith("1,099 of 1,100 cast. 1 missing.")
    fill(phone, {"invalid": "2", "votes ANNA": "1000", "votes EVIL": "97"})
    assert phone.inner_text("#sum-ballots").endswith("Right.")
    assert phone.inner_text("#sum-votes") == "Votes together: 1,097 of 1,096. 1 too many."
    phone.press('[name="votes EVIL"]', "Tab")
    assert phone.text_content("#heard") == "Votes together: 1,097 of 1,096. 1 too many."
    written = phone.inner_text("#sum-votes")
    phone.click(SEND)
    phone.wait_for_selector("#look")
    assert phone.inner_text("#sum-votes") == written, "the server says it with the same words"


def test_a_report_from_typing_to_its_receipt(phone: Any, scene: ClerkScene) -> None:
    opened(phone, scene, ODD)
    phone.click(SEND)
    phone.wait_for_selector("#look")
    assert phone.evaluate("document.activeElement.id") == "look", "a reader by ear is led to it"
    assert "9 invalid of 107 ballots cast." in phone.inner_text("#look")
    phone.click("#look a")
    phone.check("#rule-P1")
    phone.click(SEND)
    phone.wait_for_selector("#state")
    assert "It is not known yet" in phone.inner_text("#state")
    scene.receipts[0] = StationReceipt("counted", version=7)
    phone.wait_for_selector("#state.counted")
    assert "Counted when it was read: it is in the published figures unless" in phone.inner_text("#state")
    phone.goto(scene.address + SHEET)
    assert phone.input_value('[name="valid"]') == "", "what was sent is no draft any more"


def test_a_reload_in_the_middle_loses_nothing(phone: Any, scene: ClerkScene) -> None:
    opened(phone, scene, GOOD)
    phone.click("details:last-of-type summary")
    phone.fill('[name="authority"]', "district board")
    phone.reload()
    assert typed(phone) == GOOD
    assert phone.is_visible('[name="authority"]'), "what is folded away is not forgotten"
    assert "What you typed before is there again." in phone.inner_text("#told")
    phone.goto(scene.address + "/station/A-2/MAYOR")
    assert phone.input_value('[name="valid"]') == "", "another station's form has none of it"


def test_offline_in_the_middle_nothing_typed_is_lost_and_it_is_sent_when_the_connection_is_back(
    phone: Any, scene: ClerkScene
) -> None:
    opened(phone, scene)
    phone.context.set_offline(True)
    fill(phone, GOOD)
    phone.click(SEND)
    phone.wait_for_function("document.getElementById('told').innerText.includes('No connection.')")
    assert typed(phone) == GOOD
    assert not phone.is_editable('[name="valid"]'), "what waits to be sent does not change"
    assert scene.transport.sent == []
    phone.context.set_offline(False)
    phone.wait_for_selector("#state")
    assert votes_sent(scene) == [{"ANNA": 50, "EVIL": 46}]


def test_closed_while_offline_and_opened_again_it_still_waits_and_is_sent(phone: Any, scene: ClerkScene) -> None:
    opened(phone, scene, GOOD)
    phone.context.set_offline(True)
    phone.click(SEND)
    phone.wait_for_function("document.getElementById('told').innerText.includes('No connection.')")
    context = phone.context
    phone.close()
    context.set_offline(False)
    assert scene.transport.sent == []
    later = context.new_page()
    later.goto(scene.address + SHEET)
    later.wait_for_selector("#state")
    assert votes_sent(scene) == [{"ANNA": 50, "EVIL": 46}]


def test_whoever_does_not_want_to_wait_changes_it(phone: Any, scene: ClerkScene) -> None:
    opened(phone, scene, GOOD)
    phone.context.set_offline(True)
    phone.click(SEND)
    phone.wait_for_function("document.getElementById('told').innerText.includes('No connection.')")
    phone.click("#stop")
    fill(phone, {"votes ANNA": "49", "votes EVIL": "47"})
    phone.context.set_offline(False)
    phone.click(SEND)
    phone.wait_for_selector("#state")
    assert votes_sent(scene) == [{"ANNA": 49, "EVIL": 47}]


def test_an_answer_that_is_lost_makes_no_second_report(phone: Any, scene: ClerkScene) -> None:
    opened(phone, scene, GOOD)
    scene.hidden_answers = 3  # the browser itself asks twice
    phone.click(SEND)
    phone.wait_for_selector("#state")
    assert phone.url.endswith(f"{SHEET}/receipt/0/0")
    assert len(scene.transport.sent) == 1


def test_an_answer_that_is_lost_and_other_figures_then_are_asked_about(phone: Any, scene: ClerkScene) -> None:
    opened(phone, scene, GOOD)
    scene.hidden_answers = 1_000
    phone.click(SEND)
    phone.wait_for_function("document.getElementById('told').innerText.includes('No connection.')")
    phone.click("#stop")
    scene.hidden_answers = 0
    fill(phone, {"votes ANNA": "49", "votes EVIL": "47"})
    phone.click(SEND)
    phone.wait_for_selector("#look")
    assert "sent already, with other figures" in phone.inner_text("#look")
    assert votes_sent(scene) == [{"ANNA": 50, "EVIL": 46}]


def test_while_no_broker_answers_it_tries_again_by_itself(phone: Any, scene: ClerkScene) -> None:
    opened(phone, scene, ODD)
    phone.click(SEND)
    phone.check("#rule-P1")
    scene.transport.is_up = False
    phone.click(SEND)
    phone.wait_for_function("document.getElementById('look').innerText.includes('the count does not answer')")
    assert typed(phone) == ODD
    scene.transport.is_up = True
    phone.wait_for_selector("#state")
    assert len(scene.transport.sent) == 1


def test_a_clock_s_time_is_written_out_in_the_phone_s_zone(phone: Any, scene: ClerkScene) -> None:
    opened(phone, scene, GOOD | {"counted_at": "0:00"})
    assert phone.inner_text("#zone") == "+04:00"
    phone.click(SEND)
    phone.wait_for_selector("#look")
    assert phone.input_value('[name="counted_at"]').endswith("T00:00:00+04:00")


def test_turnout_from_the_count_s_form_to_its_receipt(phone: Any, scene: ClerkScene) -> None:
    opened(phone, scene, GOOD)
    phone.click("text=Turnout so far")
    phone.wait_for_selector('[name="voted"]')
    fill(phone, {"voted": "412", "as_of": "0:00"})
    assert violations(phone) == []
    phone.reload()
    assert phone.input_value('[name="voted"]') == "412", "a reload loses nothing"
    phone.context.set_offline(True)
    phone.click(SEND)
    phone.wait_for_function("document.getElementById('told').innerText.includes('No connection.')")
    phone.context.set_offline(False)
    phone.wait_for_selector("#state")
    (value,) = scene.transport.sent
    told = json.loads(value)
    assert (told["kind"], told["voted"], told["as_of"][10:]) == ("turnout", 412, "T00:00:00+04:00")
    assert "412" in phone.inner_text(".figures")
    opened(phone, scene)
    assert typed(phone) == GOOD, "the count's own draft"


def test_signed_out_meanwhile_the_figures_come_along(phone: Any, scene: ClerkScene) -> None:
    opened(phone, scene, GOOD)
    phone.context.clear_cookies()
    phone.click(SEND)
    phone.fill("#token", scene.token)
    phone.click(SEND)
    phone.wait_for_selector("#sheet")
    assert typed(phone) == GOOD
    phone.click(SEND)
    phone.wait_for_selector("#state")
    assert votes_sent(scene) == [{"ANNA": 50, "EVIL": 46}]


def test_without_scripts_it_is_the_same_page(browser: Any, scene: ClerkScene) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, locale="en-GB", java_script_enabled=False)
    page = context.new_page()
    page.goto(scene.address)
    page.fill("#token", scene.token)
    page.click(SEND)
    page.click(f'a[href="{SHEET}"]')
    fill(page, ODD)
    page.click('button[value="es"]')
    assert typed(page) == ODD, "another language, and what was typed is there"
    page.press('[name="valid"]', "Enter")
    assert "9 nulas de 107 papeletas emitidas." in page.inner_text("#look")
    assert page.inner_text("#sum-ballots").endswith("107 de 107 emitidas. Correcto.")
    page.check("#rule-P1")
    page.click(SEND)
    assert "Aún no se sabe qué fue de él." in page.inner_text("#state")
    scene.receipts[0] = StationReceipt("counted")
    page.click("a.again")
    assert "Contado" in page.inner_text("#state")
    context.close()


def test_by_keyboard_alone(phone: Any, scene: ClerkScene) -> None:
    opened(phone, scene)
    phone.focus('[name="registered"]')
    for figure in ("", "100", "96", "2", "2", "50", "46", COUNTED_AT):
        phone.keyboard.type(figure)
        phone.keyboard.press("Tab")
    phone.keyboard.press("Tab")
    phone.keyboard.press("Tab")
    assert phone.evaluate("document.activeElement.className") == "send"
    phone.keyboard.press("Enter")
    phone.wait_for_selector("#state")
    assert votes_sent(scene) == [{"ANNA": 50, "EVIL": 46}]


@pytest.mark.parametrize(("language", "scheme"), [*zip(CLERK_LANGUAGES, ("light", "dark") * 2, strict=True)])
def test_every_page_passes_axe_and_fits_a_small_phone(phone: Any, scene: ClerkScene, language: str, scheme: str) -> None:
    phone.set_viewport_size({"width": 320, "height": 640})
    phone.emulate_media(color_scheme=scheme)

    def look() -> None:
        assert violations(phone) == []
        assert violations(phone, CONTRAST) == []
        assert phone.evaluate("document.documentElement.scrollWidth") <= 320
        assert phone.evaluate("document.documentElement.lang") == language
        small = "[...document.querySelectorAll('button, input:not([type=hidden]), nav a, summary')]"
        sizes = phone.evaluate(
            f"{small}.map(e => e.getBoundingClientRect()).filter(r => r.width).map(r => [r.width, r.height])"
        )
        assert all(width >= 24 and height >= 24 for width, height in sizes), "WCAG 2.5.8"

    phone.goto(f"{scene.address}/?lang={language}")
    look()
    opened(phone, scene, GOOD | {"cast": "101", "valid": "x", "invalid": "9"})
    look()
    phone.click("details:last-of-type summary")
    phone.fill('[name="reason"]', "a word " * 20)
    look()
    phone.click(SEND)
    phone.wait_for_selector("#look")
    look()
    fill(phone, ODD | {"cast": "108", "reason": ""})
    phone.click(SEND)
    phone.wait_for_selector("#rule-A2")
    look()
    for box in phone.query_selector_all("[name=confirm]"):
        box.check()
    scene.receipts[0] = StationReceipt("held", ("A2",), ("valid, blank and invalid add up to 107, cast are 108",))
    phone.click(SEND)
    phone.wait_for_selector("#state")
    look()
    phone.context.clear_cookies()
    phone.goto(f"{scene.address}/?lang={language}")
    look()


def test_a_name_is_never_markup(phone: Any, scene: ClerkScene) -> None:
    opened(phone, scene, GOOD | {"valid": HOSTILE})
    assert phone.inner_text('label[for="q6"] bdi') == HOSTILE
    phone.click(SEND)
    phone.wait_for_selector("#look")
    assert "Mayor" in phone.title()
    assert phone.query_selector("#main img") is None


def test_a_browser_that_keeps_nothing_sends_all_the_same(phone: Any, scene: ClerkScene) -> None:
    phone.add_init_script("Storage.prototype.setItem = () => { throw new Error('full') }")
    opened(phone, scene, GOOD)
    phone.click(SEND)
    wait_for(lambda: scene.transport.sent, "the report to be sent")
