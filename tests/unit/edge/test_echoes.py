"""Which fields of its own model a route ignores (rule W-9)."""

import pytest

from protocol.nouns import import_nouns
from protocol.registry import BY_NAME, Route
from server.edge.echoes import echoed

import_nouns()


def ignored(name: str, route: str) -> frozenset[str]:
    method, path = route.split(" ")
    return echoed(BY_NAME[name], Route(method, path))


def test_a_put_ignores_what_get_shows() -> None:
    assert {"types", "as_of"} <= ignored("notification.set_preferences", "PUT /notifications/preferences/")
    assert {"business_name", "price_minor"} <= ignored("service.update", "PUT /services/{service_id}/")


def test_a_post_ignores_what_the_new_entity_shows() -> None:
    assert {"provider_id", "total_amount"} <= ignored("booking.create", "POST /bookings/")


def test_a_page_is_no_model() -> None:
    assert not {"items", "next_cursor"} & ignored("booking.create", "POST /bookings/")
    assert not {"id", "items", "unread_count"} & ignored("notification.read", "PUT /notifications/")


@pytest.mark.parametrize(
    ("name", "route"),
    [
        ("booking.create", "POST /v1/commands"),
        ("service.deactivate", "DELETE /services/{service_id}/"),
        ("auth.sign_up", "POST /auth/signup/"),
    ],
)
def test_other_routes_ignore_nothing(name: str, route: str) -> None:
    assert ignored(name, route) == frozenset()
