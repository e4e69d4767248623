"""Users set notification and contact preferences, which belong to the user (rules N-2, P-7)."""

from typing import Any
from uuid import uuid4

import pytest

from protocol.delivery.channels import Channel
from protocol.notification.registry import NOTIFICATIONS
from protocol.preference.commands import SetPreferences, StopEmails
from protocol.preference.views import GetPreferences, PreferencesView
from protocol.user.views import CurrentUser
from tests.support.server import Person, Response, Site

PATH = "/notifications/preferences/"
ALL: dict[str, Any] = {
    "zone": "Asia/Kathmandu",
    "quiet_hours": {"from": "22:15", "until": "07:00"},
    "channels": {"booking.paid": ["push"], "booking.refunded": []},
    "frequency": "MINIMAL",
    "contact_method": "WHATSAPP",
    "contact_times": {"weekdays": ["morning", "afternoon"], "weekends": ["any"]},
    "digest_hour": 19,
    "language": "de",
}


async def prefers(person: Person) -> PreferencesView:
    found: PreferencesView = await person.call(GetPreferences())
    return found


async def said(site: Site, person: Person) -> dict[str, Any]:
    """A user's preferences on the wire."""
    shown = (await site.request("GET", PATH, person)).json
    return {name: shown[name] for name in ALL}


async def put(site: Site, person: Person, **body: Any) -> Response:
    return await site.request("PUT", PATH, person, body)


async def put_contact(site: Site, person: Person, customer: Person | None = None, **body: Any) -> Response:
    id = uuid4() if customer is None else customer.id
    return await site.request("PUT", f"/customers/{id}/communication-preferences", person, body)


async def test_a_new_user_has_the_defaults(server: Site) -> None:
    ada = await server.person("Ada")

    found = await prefers(ada)

    assert (found.zone, found.quiet_hours, found.channels, found.contact_times) == ("UTC", None, {}, None)
    assert (found.frequency, found.contact_method, found.digest_hour) == ("MODERATE", None, 8)
    assert [one.type for one in found.types] == [one.name for one in NOTIFICATIONS]


async def test_the_document_that_get_shows_can_be_put_back(server: Site) -> None:
    ada = await server.person("Ada")
    await put(server, ada, **ALL)
    shown = (await server.request("GET", PATH, ada)).json

    answer = await put(server, ada, **shown)
    unknown = await put(server, ada, **shown, colour="red")

    assert answer.status == 200
    assert await said(server, ada) == ALL
    assert (unknown.status, unknown.json["fields"]) == (422, {"colour": "unknown_field"})


async def test_preferences_are_stored_and_other_devices_get_the_event(server: Site) -> None:
    ada = await server.person("Ada", live=True)

    assert (await put(server, ada, **ALL)).status == 200

    assert await said(server, ada) == ALL
    event = await ada.hears("notification.preferences_set")
    assert event.data == {"by": str(ada.id)}
    assert (await ada.call(CurrentUser())).language == "de"


async def test_fields_left_out_get_defaults_but_zone_and_language_stay(server: Site) -> None:
    ada = await server.person("Ada")
    await put(server, ada, **ALL)

    await ada.call(SetPreferences())

    assert await said(server, ada) == {
        **dict.fromkeys(("quiet_hours", "contact_method", "contact_times")),
        "zone": ALL["zone"],
        "language": "de",
        "channels": {},
        "frequency": "MODERATE",
        "digest_hour": 8,
    }


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        ({"zone": "Mars/Olympus"}, "zone", "unknown_zone"),
        ({"quiet_hours": {"from": "22:00", "until": "22:00"}}, "quiet_hours.until", "same_as_from"),
        ({"quiet_hours": {"from": "24:00", "until": "07:00"}}, "quiet_hours.from", "bad_format"),
        ({"quiet_hours": {"from": "22:00"}}, "quiet_hours.until", "missing"),
        ({"channels": {"booking.sold": ["push"]}}, "channels.booking.sold", "unknown_type"),
        ({"channels": {"booking.paid": ["push", "pigeon"]}}, "channels[...][1]", "unknown_value"),
        ({"channels": {"booking.paid": ["push", "web_push"]}}, "channels.booking.paid[1]", "not_offered"),
        ({"channels": {"session.opened": ["sms"]}}, "channels.session.opened[0]", "not_offered"),
        ({"frequency": "moderate"}, "frequency", "unknown_value"),
        ({"contact_method": "FAX"}, "contact_method", "unknown_value"),
        ({"contact_times": {"weekdays": ["noon"], "weekends": []}}, "contact_times.weekdays[0]", "unknown_value"),
        ({"contact_times": {"weekdays": [], "weekends": []}}, "contact_times", "never"),
        ({"contact_times": {"weekdays": ["any"]}}, "contact_times.weekends", "missing"),
        ({"digest_hour": 24}, "digest_hour", "too_large"),
        ({"language": "deutsch"}, "language", "bad_format"),
        ({"colour": "red"}, "colour", "unknown_field"),
    ],
)
async def test_invalid_fields_are_named_and_nothing_is_stored(
    server: Site, body: dict[str, Any], field: str, problem: str
) -> None:
    ada = await server.person("Ada")

    answer = await put(server, ada, **{"zone": "Europe/Berlin", **body})

    assert (answer.status, answer.json["code"]) == (422, "invalid")
    assert answer.json["fields"] == {field: problem}
    assert (await prefers(ada)).zone == "UTC"


async def test_a_user_sets_contact_preferences_in_camel_case(server: Site) -> None:
    ada = await server.person("Ada")
    await put(server, ada, **ALL)

    answer = await put_contact(
        server,
        ada,
        ada,
        preferredContactMethod="SMS",
        preferredContactTimes={"weekdays": ["evening"], "weekends": ["any"]},
        communicationFrequencyPreference="FREQUENT",
        languagePreference="it",
    )

    assert answer.status == 200
    assert await said(server, ada) == {
        **ALL,
        "contact_method": "SMS",
        "contact_times": {"weekdays": ["evening"], "weekends": ["any"]},
        "frequency": "FREQUENT",
        "language": "it",
    }


async def test_only_a_manager_sets_them_for_a_customer_of_the_business(server: Site) -> None:
    market, other = await server.market(), await server.market()
    customer, stranger = await server.people("Carla Customer", "Stranger")
    await server.booked(market, customer)

    answers = [
        await put_contact(server, sender, customer, preferredContactMethod="SMS")
        for sender in (market.owner, market.staff[0], other.owner, stranger)
    ]

    assert [answer.status for answer in answers] == [200, 404, 404, 404]
    assert (await prefers(customer)).contact_method == "SMS"
    assert (await put_contact(server, market.owner, stranger, preferredContactMethod="SMS")).status == 404
    assert (await put_contact(server, market.owner, preferredContactMethod="SMS")).status == 404


async def test_changing_the_language_changes_nothing_else(server: Site) -> None:
    ada = await server.person("Ada")
    before = await server.node.pool.fetchrow("SELECT * FROM people WHERE user_id = $1", ada.id)

    await ada.call(SetPreferences(language="it"))

    after = await server.node.pool.fetchrow("SELECT * FROM people WHERE user_id = $1", ada.id)
    assert before is not None
    assert after is not None
    assert dict(after) == {**before, "language": "it"}


@pytest.mark.parametrize(
    ("template", "channels"),
    [
        ("booking.confirmed", {"booking.confirmed": (Channel.PUSH,)}),
        ("booking.paid", {"booking.paid": ()}),
        (
            "digest",
            {
                "booking.released": (),
                "booking.refunded": (Channel.PUSH,),
                "payment.unplaced": (),
                "payment.returned": (),
            },
        ),
    ],
)
async def test_stopping_emails_of_a_kind_keeps_the_pushes(
    server: Site, template: str, channels: dict[str, tuple[Channel, ...]]
) -> None:
    ada = await server.person("Ada")
    await ada.call(SetPreferences(channels={"booking.paid": (Channel.EMAIL,), "booking.expired": ()}))

    for _ in range(2):
        await server.system(StopEmails(user_id=ada.id, template=template))

    before = {"booking.paid": (Channel.EMAIL,), "booking.expired": ()}
    assert (await prefers(ada)).channels == {**before, **channels}
