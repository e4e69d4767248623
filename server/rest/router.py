"""Routes: from a method and a path to what answers, by one dictionary or a few.

Built once from the declarations. A trailing slash makes no difference; a literal segment goes before a parameter;
routes are not tried one by one, so the two hundredth costs the same as the first.
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
    #: method → target, for the path that ends here.
    ends: dict[str, T] = field(default_factory=dict)
    #: The same for every longer path.
    rest: dict[str, T] = field(default_factory=dict)


class Router(Generic[T]):
    """All routes. Paths look like ``/bookings/{booking_id}/decline``; ``{rest...}`` at the end takes what remains."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._literal: dict[tuple[str, str], T] = {}
        self._shapes: set[tuple[str, str]] = set()

    def has(self, method: str, path: str) -> bool:
        """Whether the route is taken; the names of its parameters make no difference."""
        return (method, shape_of(path)) in self._shapes

    def add(self, method: str, path: str, target: T) -> None:
        """Add a route; AssertionError if it is taken."""
        assert path.startswith("/"), f"{method} {path}: paths begin with a slash"
        assert not self.has(method, path), f"{method} {path} is routed twice"
        self._shapes.add((method, shape_of(path)))
        node = self._root
        segments = _segments(path)
        for segment in segments:
            if segment.endswith("...}"):
                assert segment is segments[-1], f"{method} {path}: nothing comes behind {segment}"
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
        return self._straight(method, segments) or self._round_about(method, segments)

    def _straight(self, method: str, segments: list[str]) -> tuple[T, Params] | None:
        """Walk down without backtracking: right unless a literal hides a parameter."""
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

    def _round_about(self, method: str, segments: list[str]) -> tuple[T, Params] | None:
        for ends, params in _matches(self._root, segments, 0, _NO_PARAMS):
            if method in ends:
                return ends[method], params
        return None

    def methods(self, path: str) -> list[str]:
        """Name the methods that the path knows, sorted; none if there is no such path."""
        return sorted({method for ends, _ in _matches(self._root, _segments(path), 0, _NO_PARAMS) for method in ends})


def _segments(path: str) -> list[str]:
    segments = path.split("/")[1:]
    if segments and not segments[-1]:
        segments.pop()
    return segments


def shape_of(path: str) -> str:
    """Reduce a route's path to what it matches: paths of one shape cannot be distinguished."""
    return "/".join("{}" if segment.startswith("{") else segment for segment in _segments(path))


def _child(node: _Node[T], segment: str) -> _Node[T]:
    if segment.startswith("{"):
        if node.param is None:
            node.param = _Node()
        return node.param
    return node.literal.setdefault(segment, _Node())


def _matches(node: _Node[T], segments: list[str], at: int, params: Params) -> Iterator[tuple[dict[str, T], Params]]:
    """Walk down every way that fits, literal segments first. The depth is that of the longest route."""
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
    """Name a path's parameters in order, one for what remains included."""
    return tuple(s[1:-1].removesuffix("...") for s in _segments(path) if s.startswith("{"))
