"""The running server keeps to its own OpenAPI document, whatever it is asked by whomever (schemathesis).

Every operation is called with input that fits and input that does not, in every role, about things that exist and
things that do not. No answer may be a 5xx, have a status or content type that the document does not name, or a body
that its schema does not describe.

``GUILDWIRE_TEST_TIMES=200`` asks two hundred times as much, by chance; ``make audit`` asks ten times as much.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import Phase, given
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from protocol.conversation.commands import PostMessage
from protocol.conversation.views import ListMessages
from protocol.ids import ConversationId
from server.edge.config import LimitsConfig
from tests.support.malformed_input import examples
from tests.support.server import Person, Site, make_config, open_site

#: Examples of each operation.
EXAMPLES = 5
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
REQUEST_TIMEOUT_S = 20
Operation = APIOperation[Any, Any, Any, Any]
UNLIMITED = LimitsConfig(commands_per_s=1e6, command_rates=False, unpaid_holds_max=0, queries_per_s=1e6)
#: What takes most away from the world comes last, so that the others find something to ask about.
LATE = ("delete", "put")


@dataclass
class World:
    """People of every role and things that exist, for a thread that asks about them.

    Args:
        loop: where the server runs.
    """

    site: Site
    loop: asyncio.AbstractEventLoop
    people: dict[str, Person]
    #: Path parameter → ids that exist.
    ids: dict[str, list[str]]
    tokens: dict[str, str] = field(default_factory=dict)
    #: Answers by status, and what is wrong with some, each said once.
    answers: Counter[int] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)

    def token(self, role: str) -> str | None:
        """An access token of somebody in that role."""
        if role not in self.tokens and role in self.people:
            again = self.site.sign_in(self.people[role].me.email)
            person = asyncio.run_coroutine_threadsafe(again, self.loop).result(REQUEST_TIMEOUT_S)
            assert person.rest.signed_in is not None
            self.tokens[role] = person.rest.signed_in.tokens.access_token
        return self.tokens.get(role)


async def make_world(site: Site) -> World:
    """A market with bookings in several states, a thread with messages, and somebody in each role."""
    market = await site.market()
    customer, stranger = await site.people("Carla Customer", "Stan Stranger")
    bookings = [await site.booked(market, customer, 1), await site.confirmed(market, customer, 3)]
    bookings.append(await site.completed(market, customer, 6))
    thread = ConversationId(bookings[1])
    for text in ("Guten Tag", "\N{PARTY POPPER}" * 3):
        await customer.call(PostMessage(conversation_id=thread, text=text))
    messages = (await customer.call(ListMessages(conversation_id=thread))).items
    ids = {
        "booking_id": [str(booking) for booking in bookings],
        "conversation_id": [str(thread)],
        "message_id": [str(message.id) for message in messages],
        "business_id": [str(market.business_id)],
        "service_id": [str(market.service_id)],
        "user_id": [str(market.staff[0].id), str(customer.id)],
        "staff_id": [str(market.staff[0].id)],
        "customer_id": [str(customer.id)],
    }
    people = {
        "customer": customer,
        "stranger": stranger,
        "staff": market.staff[0],
        "owner": market.owner,
        "employee": await site.employ(market),
        "admin": await site.admin(),
    }
    return World(site, asyncio.get_running_loop(), people, ids)


@pytest.mark.sized
async def test_whatever_is_asked_the_answer_is_as_documented(database_dsn: str, tmp_path: Path) -> None:
    async with open_site(database_dsn, make_config(tmp_path, limits=UNLIMITED)) as site:
        world = await make_world(site)
        document = (await site.request("GET", "/openapi.json")).json
        await asyncio.to_thread(ask_everything, document, world)
        await site.prove()

    assert not world.wrong, "\n\n".join(f"{where}\n{what}" for where, what in world.wrong.items())
    # It was about something: people were let in, and found what they asked for.
    assert world.answers[200] > EXAMPLES
    assert world.answers[422] > EXAMPLES


def ask_everything(document: dict[str, Any], world: World) -> None:
    """Call every operation of the document, the harmless ones first."""
    schema = schemathesis.openapi.from_dict(document)
    operations: list[Operation] = []
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operations.append(found.ok())
    with requests.Session() as session:
        for operation in sorted(operations, key=lambda one: (one.method in LATE, one.method != "get", one.path)):
            ask(operation, world, session)


def ask(operation: Operation, world: World, session: requests.Session) -> None:
    """Call one operation in every way; what is wrong is noted, and the next example is tried."""

    def example(case: Case[Operation], role: str) -> None:
        token = world.token(role)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        response = case.call(base_url=world.site.url, session=session, headers=headers, timeout=REQUEST_TIMEOUT_S)
        world.answers[response.status_code] += 1
        if response.status_code == 401:
            world.tokens.pop(role, None)  # signed out, by one of these examples
        try:
            case.validate_response(response, checks=CHECKS)
        except AssertionError as failure:
            world.wrong.setdefault(f"{operation.label} {type(failure).__name__}", f"as {role}: {failure}")
        except BaseExceptionGroup as failures:
            kinds = " ".join(sorted({type(one).__name__ for one in failures.exceptions}))
            said = "\n".join(str(one) for one in failures.exceptions)
            world.wrong.setdefault(f"{operation.label} {kinds}", f"as {role}: {said}\n{case.as_curl_command()}")

    given_both = given(case=cases_of(operation, world), role=st.sampled_from([*world.people, "nobody"]))
    examples(EXAMPLES, Phase.generate)(given_both(example))()


def cases_of(operation: Operation, world: World) -> st.SearchStrategy[Case[Operation]]:
    """Input that fits and input that does not, mostly about things that exist."""
    params = [name for name in world.ids if f"{{{name}}}" in operation.path]
    known = st.fixed_dictionaries({name: st.sampled_from(world.ids[name]) for name in params})
    fitting = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    about = known.flatmap(lambda ids: operation.as_strategy(path_parameters=ids)) if params else fitting
    try:
        misfits = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
        misfits.validate()
    except Exception:  # nothing about it could be wrong
        return st.one_of(about, fitting)
    return st.one_of(about, misfits, fitting)
