"""The router: finds the target of a method and path by dictionary lookups.

It is built once from the registry. A trailing slash makes no difference. A literal segment takes precedence over a
parameter, for all methods: a path that ends at a literal has the methods of that literal only. Routes are not tried one
after the other, so the number of routes does not matter.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

#: Path parameters by position, still percent-encoded.
Params = tuple[str, ...]

_NO_PARAMS: Params = ()


@dataclass(slots=True)
class _Node(Generic[T]):
    """One point in the tree of path segments."""

    literal: dict[str, "_Node[T]"] = field(default_factory=dict)
    param: "_Node[T] | None" = None
    #: Method → target, for the path that ends here.
    ends: dict[str, T] = field(default_factory=dict)
    #: Method → target, for every path that continues from here.
    rest: dict[str, T] = field(default_factory=dict)


class Router(Generic[T]):
    """All routes. Paths look like ``/bookings/{booking_id}/decline``; ``{name...}`` at the end matches the rest."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._literal: dict[tuple[str, str], T] = {}
        self._shapes: set[tuple[str, str]] = set()

    def has(self, method: str, path: str) -> bool:
        """Whether the route exists, under any names of its parameters."""
        return (method, shape_of(path)) in self._shapes

    def add(self, method: str, path: str, target: T) -> None:
        """Add a route. AssertionError if it exists."""
        assert path.startswith("/"), f"{method} {path}: paths begin with a slash"
        assert not self.has(method, path), f"{method} {path} is routed twice"
        self._shapes.add((method, shape_of(path)))
        node = self._root
        segments = _segments(path)
        for segment in segments:
            if segment.endswith("...}"):
                assert segment is segments[-1], f"{method} {path}: {segment} must be the last segment"
                node.rest[method] = target
                return
            node = _child(node, segment)
        node.ends[method] = target
        if "{" not in path:
            bare = path.rstrip("/") or "/"
            self._literal[method, bare] = target
            self._literal[method, bare.rstrip("/") + "/"] = target

    def find(self, method: str, path: str) -> tuple[T, Params] | None:
        """Find the target, and the raw path parameters in order."""
        target = self._literal.get((method, path))
        if target is not None:
            return target, _NO_PARAMS
        segments = _segments(path)
        return self._greedy(method, segments) or self._backtracking(method, segments)

    def _greedy(self, method: str, segments: list[str]) -> tuple[T, Params] | None:
        """Walk down without backtracking, which suffices unless a literal hides a parameter."""
        node = self._root
        params = []
        for segment in segments:
            child = node.literal.get(segment)
            if child is None:
                child = node.param
                if child is None or not segment:
                    return None
                params.append(segment)
            node = child
        target = node.ends.get(method)
        return None if target is None else (target, tuple(params))

    def _backtracking(self, method: str, segments: list[str]) -> tuple[T, Params] | None:
        ends, params = next(_matches(self._root, segments, 0, _NO_PARAMS), ({}, _NO_PARAMS))
        return (ends[method], params) if method in ends else None

    def methods(self, path: str) -> list[str]:
        """Return the methods of a path, sorted; none if there is no such path."""
        ends, _ = next(_matches(self._root, _segments(path), 0, _NO_PARAMS), ({}, _NO_PARAMS))
        return sorted(ends)


def _segments(path: str) -> list[str]:
    segments = path.split("/")[1:]
    if segments and not segments[-1]:
        segments.pop()
    return segments


def shape_of(path: str) -> str:
    """Reduce a route's path to its shape: two paths of the same shape match the same requests."""
    return "/".join("{}" if segment.startswith("{") else segment for segment in _segments(path))


def _child(node: _Node[T], segment: str) -> _Node[T]:
    if segment.startswith("{"):
        if node.param is None:
            node.param = _Node()
        return node.param
    return node.literal.setdefault(segment, _Node())


def _matches(node: _Node[T], segments: list[str], at: int, params: Params) -> Iterator[tuple[dict[str, T], Params]]:
    """Yield every match, literal segments first. The recursion is as deep as the longest route."""
    if at == len(segments):
        if node.ends:
            yield node.ends, params
    else:
        segment = segments[at]
        child = node.literal.get(segment)
        if child is not None:
            yield from _matches(child, segments, at + 1, params)
        if node.param is not None and segment:
            yield from _matches(node.param, segments, at + 1, (*params, segment))
    if node.rest:
        yield node.rest, (*params, "/".join(segments[at:]))


def param_names(path: str) -> tuple[str, ...]:
    """Return the names of a path's parameters in order, including one for the rest."""
    return tuple(s[1:-1].removesuffix("...") for s in _segments(path) if s.startswith("{"))
