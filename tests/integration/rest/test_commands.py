"""Commands over REST, through the real runtime into a real database."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from storage.database import Pool
from tests.support.http_server import Answer, Http, gadget_server


@pytest.fixture
async def http(database_dsn: str, pool: Pool) -> AsyncIterator[Http]:
    """A server for gadgets."""
    async with gadget_server(database_dsn, pool) as http:
        yield http


async def made(http: Http, label: str = "lamp") -> str:
    answer = await http.send("POST", "/gadgets", json={"label": label}, token="customer")
    assert answer.status == 201, answer.body
    return str(answer.json["id"])


async def rename(http: Http, gadget_id: str, label: str, **headers: str) -> Answer:
    return await http.send(
        "POST",
        f"/gadgets/{gadget_id}/rename",
        json={"label": label},
        token="customer",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


async def test_a_created_entity_is_returned_with_version_and_location(http: Http) -> None:
    answer = await http.send("POST", "/gadgets", json={"label": "lamp"}, token="customer")

    assert answer.status == 201
    assert answer.json["label"] == "lamp"
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["Location"] == f"/gadgets/{answer.json['id']}"
    assert "Idempotency-Replayed" not in answer.headers
    view = await http.send("GET", answer.headers["Location"], token="staff")
    assert view.json == {"id": answer.json["id"], "label": "lamp", "version": 1}
    assert view.headers["ETag"] == '"1"'


async def test_a_trailing_slash_makes_no_difference(http: Http) -> None:
    with_slash = await http.send("POST", "/gadgets/", json={"label": "lamp"}, token="customer")
    view = await http.send("GET", f"/gadgets/{with_slash.json['id']}/", token="customer")

    assert (with_slash.status, view.status) == (201, 200)


async def test_a_retry_with_the_same_key_gets_the_first_reply_and_has_no_effect(http: Http) -> None:
    headers = {"Idempotency-Key": "order-1"}
    first = await http.send("POST", "/gadgets", json={"label": "lamp"}, token="customer", headers=headers)
    again = await http.send("POST", "/gadgets", json={"label": "lamp"}, token="customer", headers=headers)

    assert again.status == 201
    assert again.body == first.body
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_a_retry_may_spell_its_texts_in_another_form(http: Http) -> None:
    headers = {"Idempotency-Key": "order-1"}
    first = await http.send("POST", "/gadgets", json={"label": "café"}, token="customer", headers=headers)
    decomposed = {"label": " cafe\N{COMBINING ACUTE ACCENT} "}
    again = await http.send("POST", "/gadgets", json=decomposed, token="customer", headers=headers)

    assert again.status == 201
    assert again.body == first.body
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_another_body_with_a_used_key_is_refused(http: Http) -> None:
    headers = {"Idempotency-Key": "order-1"}
    await http.send("POST", "/gadgets", json={"label": "lamp"}, token="customer", headers=headers)
    other = await http.send("POST", "/gadgets", json={"label": "desk"}, token="customer", headers=headers)

    assert other.problem["code"] == "command_id_reused"
    assert other.status == 422


async def test_a_key_belongs_to_its_user(http: Http) -> None:
    headers = {"Idempotency-Key": "order-1"}
    first = await http.send("POST", "/gadgets", json={"label": "lamp"}, token="customer", headers=headers)
    other = await http.send("POST", "/gadgets", json={"label": "lamp"}, token="staff", headers=headers)

    assert other.json["id"] != first.json["id"]
    assert "Idempotency-Replayed" not in other.headers


@pytest.mark.parametrize("key", ["", " ", "a b", "k" * 129, "schlüssel"])
async def test_an_invalid_key_is_refused(http: Http, key: str) -> None:
    answer = await http.send(
        "POST", "/gadgets", json={"label": "lamp"}, token="customer", headers={"Idempotency-Key": key}
    )

    assert answer.problem["code"] == "invalid"
    assert list(answer.problem["fields"]) == ["Idempotency-Key"]


async def test_a_refusal_is_replayed_as_well(http: Http) -> None:
    gadget_id = await made(http)
    await http.send("DELETE", f"/gadgets/{gadget_id}", token="staff")
    headers = {"Idempotency-Key": "again"}
    refused = await http.send("DELETE", f"/gadgets/{gadget_id}", token="staff", headers=headers)
    replayed = await http.send("DELETE", f"/gadgets/{gadget_id}", token="staff", headers=headers)

    assert refused.problem["code"] == replayed.problem["code"] == "wrong_state"
    assert refused.problem["fields"] == replayed.problem["fields"] == {"status": "BROKEN"}
    assert "Idempotency-Replayed" not in refused.headers
    assert replayed.headers["Idempotency-Replayed"] == "true"


async def test_a_command_for_another_version_is_refused(http: Http) -> None:
    gadget_id = await made(http)
    fitting = await rename(http, gadget_id, "desk", If_Match='"1"')
    stale = await rename(http, gadget_id, "chair", If_Match='"1"')
    any_version = await rename(http, gadget_id, "stool", If_Match="*")

    assert fitting.headers["ETag"] == '"2"'
    assert stale.status == 409
    assert stale.problem["code"] == "version_mismatch"
    assert stale.problem["fields"] == {"version": 2}
    assert any_version.headers["ETag"] == '"3"'


@pytest.mark.parametrize("tags", ['W/"1"', '"7", "1"', ' "7" ,, W/"1"', '"1-gzip"', "*"])
async def test_weak_tags_and_lists_are_versions_too(http: Http, tags: str) -> None:
    answer = await rename(http, await made(http), "desk", If_Match=tags)

    assert answer.headers["ETag"] == '"2"'


@pytest.mark.parametrize("tags", ['"one"', '""', '"-1"', '"' + "9" * 30 + '"', '"2", W/"3"', 'W/"2"'])
async def test_tags_that_the_entity_does_not_have_refuse_the_command(http: Http, tags: str) -> None:
    answer = await rename(http, await made(http), "desk", If_Match=tags)

    assert answer.problem["code"] == "version_mismatch"
    assert answer.problem["fields"] == {"version": 1}


@pytest.mark.parametrize("version", ["1", '"1', 'w/"1"', '"1" "2"', '*, "1"', "", ","])
async def test_an_invalid_expected_version_is_refused(http: Http, version: str) -> None:
    answer = await rename(http, str(uuid4()), "desk", If_Match=version)

    assert answer.problem["fields"] == {"If-Match": "bad_format"}


async def test_a_command_to_a_missing_entity_is_not_found(http: Http) -> None:
    answer = await rename(http, str(uuid4()), "desk")

    assert answer.status == 404
    assert answer.problem["fields"]["entity"] == "booking"


async def test_without_a_token_nothing_is_done(http: Http) -> None:
    answer = await http.send("POST", "/gadgets", json={"label": "lamp"})

    assert answer.status == 401
    assert answer.problem["code"] == "unauthenticated"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="guildwire"'


@pytest.mark.parametrize("header", ["Bearer nobody", "Basic Y3VzdG9tZXI6eA==", "Bearer", "customer"])
async def test_an_invalid_token_is_challenged(http: Http, header: str) -> None:
    answer = await http.send("POST", "/gadgets", json={"label": "lamp"}, headers={"Authorization": header})

    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


async def test_the_scheme_may_be_written_in_any_case(http: Http) -> None:
    answer = await http.send("POST", "/gadgets", json={"label": "lamp"}, headers={"Authorization": "bearer customer"})

    assert answer.status == 201


async def test_a_role_that_may_not_send_the_command_is_refused(http: Http) -> None:
    answer = await http.send("DELETE", f"/gadgets/{uuid4()}", token="customer")

    assert answer.status == 403
    assert answer.problem["fields"] == {"reason": "role", "role": "customer", "roles": ["staff"]}


async def test_a_body_cannot_override_its_path(http: Http) -> None:
    gadget_id, other_id = await made(http), await made(http)
    plain = await http.send(
        "POST", f"/gadgets/{gadget_id}/rename", json={"label": "desk", "booking_id": other_id}, token="customer"
    )
    hidden = await http.send(
        "POST",
        f"/gadgets/{gadget_id}/rename",
        data=b'{"label": "desk", "booking\\u005fid": "%b"}' % other_id.encode(),
        headers={"Content-Type": "application/json"},
        token="customer",
    )
    view = await http.send("GET", f"/gadgets/{other_id}", token="customer")

    assert plain.problem["fields"] == {"booking_id": "unknown_field"}
    assert hidden.status == 200
    assert hidden.json["id"] == gadget_id
    assert view.json["label"] == "lamp"


async def test_a_route_may_have_a_wire_struct_of_its_own(http: Http) -> None:
    gadget_id = await made(http)
    answer = await http.send("PUT", f"/gadget-names/{gadget_id}/", json={"newLabel": "desk"}, token="customer")
    unknown = await http.send("PUT", f"/gadget-names/{gadget_id}", json={"title": "desk"}, token="customer")
    refused = await http.send("PUT", f"/gadget-names/{gadget_id}", json={"newLabel": "forbidden"}, token="customer")

    assert answer.json == {"id": gadget_id, "label": "desk"}
    assert unknown.problem["fields"] == {"newLabel": "missing", "title": "unknown_field"}
    assert refused.problem["code"] == "invalid"
    assert "never fits" in refused.problem["detail"]


async def test_an_invalid_id_is_named(http: Http) -> None:
    command = await http.send("POST", "/gadgets/nonsense/rename", json={"label": "desk"}, token="customer")
    query = await http.send("GET", "/gadgets/nonsense", token="customer")

    assert command.problem["fields"] == query.problem["fields"] == {"booking_id": "bad_format"}


async def test_any_command_can_be_sent_in_the_envelope(http: Http) -> None:
    envelope = {"id": "e-1", "name": "gadget.make", "data": {"label": "lamp"}}
    answer = await http.send("POST", "/v1/commands", json=envelope, token="customer")

    assert answer.status == 201
    assert answer.json["label"] == "lamp"
    assert answer.headers["ETag"] == '"1"'


async def test_envelope_and_route_share_their_command_ids(http: Http) -> None:
    envelope = {"id": "shared", "name": "gadget.make", "data": {"size": 1, "label": "lamp"}}
    first = await http.send(
        "POST", "/gadgets", json={"label": "lamp"}, token="customer", headers={"Idempotency-Key": "shared"}
    )
    again = await http.send("POST", "/v1/commands", json=envelope, token="customer")

    assert again.body == first.body
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_the_envelope_expects_a_version_too(http: Http) -> None:
    gadget_id = await made(http)
    data = {"booking_id": gadget_id, "label": "desk"}
    stale = await http.send(
        "POST", "/v1/commands", json={"name": "gadget.rename", "data": data, "if_version": 7}, token="customer"
    )

    assert stale.problem["code"] == "version_mismatch"


@pytest.mark.parametrize(
    ("envelope", "fields"),
    [
        ({"name": "gadget.melt", "data": {"booking_id": str(UUID(int=1))}}, {"name": "unknown_command"}),
        ({"name": "gadget.list", "data": {}}, {"name": "unknown_command"}),
        ({"name": "gadget.make", "data": {"label": 5}}, {"data.label": "wrong_type"}),
        ({"name": "gadget.make", "data": {"label": "x", "parts": [{}]}}, {"data.parts[0].name": "missing"}),
        ({"name": "gadget.make", "data": [1]}, {"data": "wrong_type"}),
        ({"name": "gadget.make"}, {"data": "missing"}),
        ({"name": "gadget.make", "data": {"label": "x"}, "to": "y"}, {"to": "unknown_field"}),
        ({"name": "gadget.make", "data": {"label": "x"}, "id": ""}, {"id": "bad_format"}),
        ({"name": "gadget.make", "data": {"label": "x\u0000"}}, {"data.label": "control_character"}),
    ],
)
async def test_an_invalid_envelope_is_refused_by_field(
    http: Http, envelope: dict[str, object], fields: dict[str, str]
) -> None:
    answer = await http.send("POST", "/v1/commands", json=envelope, token="customer")

    assert answer.status == 422
    assert answer.problem["fields"] == fields


async def test_envelope_and_headers_must_not_contradict_each_other(http: Http) -> None:
    envelope = {"id": "one", "name": "gadget.make", "data": {"label": "lamp"}}
    answer = await http.send(
        "POST", "/v1/commands", json=envelope, token="customer", headers={"Idempotency-Key": "another"}
    )

    assert answer.problem["fields"] == {"id": "mismatch"}


async def test_the_envelope_checks_the_role_of_its_command(http: Http) -> None:
    envelope = {"name": "gadget.break", "data": {"booking_id": str(uuid4())}}
    answer = await http.send("POST", "/v1/commands", json=envelope, token="customer")

    assert answer.status == 403
