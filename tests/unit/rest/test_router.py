"""The router: which route matches, and its path parameters."""

import pytest

from server.rest.router import Router, param_names


def router(*routes: str) -> Router[str]:
    made: Router[str] = Router()
    for route in routes:
        method, path = route.split(" ", 1)
        made.add(method, path, route)
    return made


@pytest.mark.parametrize("path", ["/bookings", "/bookings/"])
@pytest.mark.parametrize("declared", ["/bookings", "/bookings/"])
def test_a_trailing_slash_makes_no_difference(declared: str, path: str) -> None:
    assert router(f"GET {declared}").find("GET", path) == (f"GET {declared}", ())


def test_parameters_come_in_the_order_of_the_path() -> None:
    routes = router("PUT /a/{x}/b/{y}")

    assert routes.find("PUT", "/a/1/b/2/") == ("PUT /a/{x}/b/{y}", ("1", "2"))


def test_a_literal_segment_takes_precedence_over_a_parameter() -> None:
    routes = router("GET /services/{id}", "GET /services/categories", "GET /services/{id}/slots")

    assert routes.find("GET", "/services/categories") == ("GET /services/categories", ())
    assert routes.find("GET", "/services/7") == ("GET /services/{id}", ("7",))


def test_a_literal_does_not_hide_a_parameter_with_a_longer_route() -> None:
    routes = router("GET /services/categories", "GET /services/{id}/slots")

    assert routes.find("GET", "/services/categories/slots") == ("GET /services/{id}/slots", ("categories",))


def test_parameters_at_the_same_position_may_have_different_names() -> None:
    routes = router("GET /customers/{customer_id}", "PATCH /customers/{relation_id}/note")

    assert routes.find("PATCH", "/customers/7/note") == ("PATCH /customers/{relation_id}/note", ("7",))


def test_the_rest_of_a_path_is_one_parameter() -> None:
    routes = router("GET /files/{name...}", "GET /files/index")

    assert routes.find("GET", "/files/a/b.txt") == ("GET /files/{name...}", ("a/b.txt",))
    assert routes.find("GET", "/files/index") == ("GET /files/index", ())
    assert param_names("/files/{owner}/{name...}") == ("owner", "name")


@pytest.mark.parametrize("path", ["/", "", "//", "/bookings//decline", "/bookings/7/decline/8", "/Bookings/7/decline"])
def test_a_path_that_matches_no_route_is_not_found(path: str) -> None:
    routes = router("POST /bookings/{id}/decline")

    assert routes.find("POST", path) is None
    assert routes.methods(path) == []


def test_a_literal_is_never_a_parameter_whatever_the_method() -> None:
    routes = router("GET /services/categories", "PUT /services/{id}")

    assert routes.find("PUT", "/services/categories/") is None
    assert routes.methods("/services/categories/") == ["GET"]


def test_all_methods_of_a_path_are_named() -> None:
    routes = router("GET /a/b", "DELETE /a/{x}", "PUT /a/{x}")

    assert routes.methods("/a/c") == ["DELETE", "PUT"]


@pytest.mark.parametrize("again", ["GET /a/{y}", "GET /a/{x}/"])
def test_two_routes_of_the_same_shape_are_refused(again: str) -> None:
    with pytest.raises(AssertionError, match="routed twice"):
        router("GET /a/{x}", again)


def test_a_rest_parameter_must_be_the_last_segment() -> None:
    with pytest.raises(AssertionError, match="must be the last segment"):
        router("GET /a/{x...}/b")
