"""Who may send what at all, written by hand and held against both transports (rule P-1).

This is the gate in front of everything: it looks at the active role alone. What an actor or a query says of the very
object comes behind it, and has its own tests.
"""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import server.app.bootstrap  # noqa: F401  # whatever is served is declared by now
from protocol.registry import BY_NAME, Declaration, Mode, Route
from protocol.roles import Role
from server.edge.config import LimitsConfig
from server.edge.limits import QUERY_FIELDS_MAX
from tests.support.live_server import connect_client
from tests.support.server import Person, Response, Site, make_config, open_site

#: ok: let through. 401: no token. 403: not in this role. never: the server's own, whoever asks.
TABLE = """
declaration                    nobody   customer staff    employee owner    admin
booking.staff_left             never    never    never    never    never    never
business.release_leaver        never    never    never    never    never    never
conversation.hand_over         never    never    never    never    never    never
user.disable                   401      403      403      403      403      ok
user.enable                    401      403      403      403      403      ok
auth.change_password           401      ok       ok       ok       ok       ok
auth.current_user              401      ok       ok       ok       ok       ok
auth.refresh                   ok       ok       ok       ok       ok       ok
auth.reset_password            ok       ok       ok       ok       ok       ok
auth.revoke_session            401      ok       ok       ok       ok       ok
auth.revoke_sessions           401      ok       ok       ok       ok       ok
auth.sessions                  401      ok       ok       ok       ok       ok
auth.sign_in                   ok       ok       ok       ok       ok       ok
auth.sign_out                  401      ok       ok       ok       ok       ok
auth.sign_up                   ok       ok       ok       ok       ok       ok
auth.switch_role               401      ok       ok       ok       ok       ok
auth.verify_email              401      ok       ok       ok       ok       ok
auth.verify_phone              401      ok       ok       ok       ok       ok
address.drop                   401      ok       ok       ok       ok       ok
address.list                   401      ok       ok       ok       ok       ok
address.put                    401      ok       ok       ok       ok       ok
booking.alert_owner            never    never    never    never    never    never
booking.approve                401      403      ok       ok       ok       403
booking.ask_about_start        never    never    never    never    never    never
booking.auto_release           never    never    never    never    never    never
booking.cancel                 401      ok       ok       ok       ok       ok
booking.complete               401      403      ok       ok       ok       403
booking.complete_overdue       never    never    never    never    never    never
booking.confirm_release        401      ok       403      403      403      403
booking.create                 401      ok       403      403      403      403
booking.decline                401      403      ok       ok       ok       403
booking.expire                 never    never    never    never    never    never
booking.get                    401      ok       ok       ok       ok       ok
booking.give_up                never    never    never    never    never    never
booking.jobs                   401      403      ok       ok       ok       403
booking.lapse                  never    never    never    never    never    never
booking.list                   401      ok       ok       ok       ok       ok
booking.pay                    401      ok       403      403      403      403
booking.mark_no_show           never    never    never    never    never    never
booking.record_payment         never    never    never    never    never    never
booking.record_refund          never    never    never    never    never    never
payment.open                   never    never    never    never    never    never
payment.record_capture         never    never    never    never    never    never
payment.refund                 never    never    never    never    never    never
payment.record_return          never    never    never    never    never    never
booking.remind                 never    never    never    never    never    never
booking.start                  401      403      ok       ok       ok       403
booking.timeline               401      ok       ok       ok       ok       ok
business.add_member            401      403      ok       ok       ok       403
business.admit                 never    never    never    never    never    never
business.expire_invitation     never    never    never    never    never    never
business.invitations           401      403      ok       ok       ok       403
business.record_decline        never    never    never    never    never    never
business.withdraw_invitation   401      403      ok       ok       ok       403
invitation.accept              401      ok       ok       ok       ok       ok
invitation.decline             401      ok       ok       ok       ok       ok
invitation.list                401      ok       ok       ok       ok       ok
user.end_joining               never    never    never    never    never    never
user.inform_of_invitation      never    never    never    never    never    never
business.availability          401      403      ok       ok       ok       403
business.block_customer        401      403      ok       ok       ok       403
business.get                   ok       ok       ok       ok       ok       ok
business.register              401      ok       ok       ok       ok       ok
business.remove_member         401      403      ok       ok       ok       403
business.set_availability      401      403      ok       ok       ok       403
business.set_hours             401      403      ok       ok       ok       403
business.staff                 ok       ok       ok       ok       ok       ok
business.unblock_customer      401      403      ok       ok       ok       403
business.update                401      403      ok       ok       ok       ok
business.update_member         401      403      ok       ok       ok       403
conversation.close             never    never    never    never    never    never
conversation.delete            401      ok       ok       ok       ok       ok
conversation.edit              401      ok       ok       ok       ok       ok
conversation.get               401      ok       ok       ok       ok       ok
conversation.keep_open         never    never    never    never    never    never
conversation.list              401      ok       ok       ok       ok       ok
conversation.mark_read         401      ok       ok       ok       ok       ok
conversation.messages          401      ok       ok       ok       ok       ok
conversation.open              never    never    never    never    never    never
conversation.open_for_booking  401      ok       ok       ok       ok       ok
conversation.post              401      ok       ok       ok       ok       ok
conversation.replace_member    never    never    never    never    never    never
conversation.suggestions       401      ok       ok       ok       ok       ok
delivery.list                  401      403      403      403      403      ok
delivery.replay                401      403      403      403      403      ok
delivery.replay_all            401      403      403      403      403      ok
device.forget                  never    never    never    never    never    never
device.list                    401      ok       ok       ok       ok       ok
device.register                401      ok       ok       ok       ok       ok
device.remove                  401      ok       ok       ok       ok       ok
notification.list              401      ok       ok       ok       ok       ok
notification.preferences       401      ok       ok       ok       ok       ok
notification.read              401      ok       ok       ok       ok       ok
notification.send              401      403      403      403      403      ok
notification.set_contact_preferences 401 ok      ok       ok       ok       403
notification.set_preferences   401      ok       ok       ok       ok       ok
notification.stop_letters      never    never    never    never    never    never
push.vapid_key                 ok       ok       ok       ok       ok       ok
notification.take              never    never    never    never    never    never
service.categories             ok       ok       ok       ok       ok       ok
service.create                 401      403      ok       ok       ok       403
service.deactivate             401      403      ok       ok       ok       403
service.get                    ok       ok       ok       ok       ok       ok
service.list                   ok       ok       ok       ok       ok       ok
service.set_staff              401      403      ok       ok       ok       403
service.slots                  ok       ok       ok       ok       ok       ok
service.update                 401      403      ok       ok       ok       403
snapshot.get                   401      ok       ok       ok       ok       ok
user.change_password           never    never    never    never    never    never
user.grant_role                never    never    never    never    never    never
user.open_session              never    never    never    never    never    never
user.rehash_password           never    never    never    never    never    never
user.reset_password            never    never    never    never    never    never
user.revoke_role               never    never    never    never    never    never
user.rotate_session            never    never    never    never    never    never
user.send_code                 never    never    never    never    never    never
user.sign_up                   never    never    never    never    never    never
user.switch_role               never    never    never    never    never    never
user.verify_contact            never    never    never    never    never    never
wallet.balance                 401      ok       ok       ok       ok       403
wallet.statement               401      ok       ok       ok       ok       403
"""

_HEAD, *_LINES = [line.split() for line in TABLE.strip().splitlines()]
ROLES = _HEAD[1:]
#: declaration → role → cell.
ROWS: dict[str, dict[str, str]] = {name: dict(zip(ROLES, cells, strict=True)) for name, *cells in _LINES}

#: Nothing declared has it, so whoever is let through hears of it, and nothing happens.
UNKNOWN = "no_such_field"
UNLIMITED = LimitsConfig(commands_per_s=10_000, command_rates=False, unpaid_holds_max=0, queries_per_s=10_000)


def test_every_declaration_has_its_row() -> None:
    assert sorted(ROWS) == sorted(BY_NAME)
    assert len(ROWS) == len(_LINES), "a declaration has two rows"


@pytest.mark.parametrize("role", ROLES)
async def test_both_transports_let_through_whom_the_table_names(database_dsn: str, tmp_path: Path, role: str) -> None:
    async with open_site(database_dsn, make_config(tmp_path, limits=UNLIMITED)) as site:
        person = await somebody(site, role)
        wrong = [found for declared in BY_NAME.values() for found in await over_rest(site, person, declared, role)]
        if person is not None:
            wrong += await over_socket(site, person, role)

    assert wrong == []


async def test_a_step_that_is_set_by_its_status_needs_the_role_of_the_step(server: Site) -> None:
    customer = await server.person("Carla")
    admin = await server.admin()
    for person in (customer, admin):
        for status in ("CONFIRMED", "IN_PROGRESS", "ongoing", "COMPLETED", "completed"):
            answer = await server.request("PUT", f"/bookings/{uuid4()}/status/", person, {"status": status})
            assert verdict(answer) == "403", status
        answer = await server.request("PUT", f"/bookings/{uuid4()}/status/", person, {"status": "cancelled"})
        assert answer.status == 404


async def somebody(site: Site, role: str) -> Person | None:
    """Somebody acting in the role, for a business where the role has one; None for nobody."""
    match role:
        case "nobody":
            return None
        case "customer":
            person = await site.person("Carla")
        case "admin":
            person = await site.admin()
        case "employee":
            person = await site.employ(await site.market())
        case _:
            market = await site.market()
            person = market.owner if role == "owner" else market.staff[0]
    assert person.me.role is Role(role)
    return person


async def over_rest(site: Site, person: Person | None, declared: Declaration, role: str) -> list[str]:
    """Try every route of a declaration; gives what is not as the table says."""
    cell = ROWS.get(declared.name, {}).get(role)
    wrong = []
    for route in declared.routes:
        answer = await try_route(site, person, route)
        if verdict(answer) != cell:
            wrong.append(f"{route.method} {route.path}: {answer.status} {answer.body!r}, not {cell}")
    if declared.mode is Mode.COMMAND:
        envelope = {"name": declared.name, "data": {UNKNOWN: 1}}
        answer = await site.request("POST", "/v1/commands", person, envelope)
        expected = "401" if person is None else cell
        if verdict(answer) != expected:
            wrong.append(f"/v1/commands {declared.name}: {answer.status} {answer.body!r}, not {expected}")
    return wrong


async def try_route(site: Site, person: Person | None, route: Route) -> Response:
    """Send a request that nobody could fulfil."""
    path = route.path
    for name in route.params:
        path = path.replace(f"{{{name}}}", str(uuid4()))
    if route.method == "GET":
        return await site.request("GET", f"{path}?{'&'.join([f'{UNKNOWN}=1'] * (QUERY_FIELDS_MAX + 1))}", person)
    return await site.request(route.method, path, person, {UNKNOWN: 1})


def verdict(answer: Response) -> str:
    """The cell that an answer means."""
    problem = answer.json
    return verdict_of(problem["code"], problem.get("fields", {}))


def verdict_of(code: str, fields: dict[str, Any]) -> str:
    """The cell that a refusal means; its code if it means none."""
    if code == "unauthenticated":
        return "401"
    if code == "forbidden" and fields.get("reason") == "role":
        return "403"
    if code == "invalid" and fields.get("name") == "unknown_command":
        return "never"
    if code == "invalid" and ("unknown_field" in fields.values() or fields.get("query") == "too_long"):
        return "ok"
    return code


async def over_socket(site: Site, person: Person, role: str) -> list[str]:
    """Try every declaration as a frame; gives what is not as the table says."""
    wrong = []
    async with connect_client(site.url, await person.rest.token()) as client:
        for declared in BY_NAME.values():
            kind = "query" if declared.mode is Mode.QUERY else "command"
            await client.send(frame=kind, id=declared.name, name=declared.name, data={UNKNOWN: 1})
            answer = await client.answer(declared.name)
            expected = socket_cell(declared, role)
            if verdict_of(answer["code"], answer["fields"]) != expected:
                wrong.append(f"{kind} {declared.name}: {answer}, not {expected}")
    return wrong


def socket_cell(declared: Declaration, role: str) -> str | None:
    """Procedures are for REST alone; the server's own commands are refused by role."""
    if declared.mode is Mode.PROCEDURE:
        return "never"
    cell = ROWS.get(declared.name, {}).get(role)
    return "403" if cell == "never" else cell
