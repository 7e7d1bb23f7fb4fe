"""What a target selects from the nodes of a working set. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property

from dust.errors import TargetError
from dust.expr import SESSION_WORDS, All, Expr, Group, Name, Numbers, Pair, Property, format, parse
from dust.glob import Glob, Part, parts
from dust.near import near
from dust.node import ALIASES, Node

#: Colons and equals signs at which a tag may be split into key and value, from the left.
_SPLITS = 20


def _nothing(_: str) -> str:
    return ""


def _no_groups(name: str) -> list[str]:
    raise TargetError(f"@{name}: there are no node groups")


class View:
    """What targets select from.

    `nodes` are the working set in order, `numbers` node ids by number, `state_of` what a session
    does (by id, "" for none), `last` the outcome of the last run by id, `differs` the ids whose
    output there was not what most had, `group` the names in a node group.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        numbers: Mapping[int, str] | None = None,
        state_of: Callable[[str], str] = _nothing,
        last: Mapping[str, str] | None = None,
        differs: Collection[str] = frozenset(),
        group: Callable[[str], list[str]] | None = None,
    ) -> None:
        self.nodes = nodes
        self.numbers = numbers or {}
        self.state_of = state_of
        self.last = last or {}
        self.differs = differs
        self.group = group or _no_groups

    @cached_property
    def by_name(self) -> Mapping[str, Sequence[Node]]:
        """The nodes of each name; a name may have several."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            found.setdefault(node.name, []).append(node)
        return found


def select(target: str | Expr, view: View) -> list[Node]:
    """The nodes of a view that a target selects, in the view's order.

    Raises TargetError where the target is malformed, asks for what is not there or selects nothing.
    """
    expr = parse(target) if isinstance(target, str) else target
    chosen = _ids(expr, view)
    nodes = [node for node in view.nodes if node.id in chosen]
    if not nodes:
        raise TargetError(_why_nothing(expr, view))
    return nodes


def spelled(target: str, nodes: Iterable[Node], numbers: Mapping[int, str]) -> list[Node]:
    """Those of selected nodes that their target spells out: by name, by number, or in a range."""
    names: list[Callable[[str], bool]] = []
    ids: set[str] = set()
    parts = [parse(target)]
    while parts:
        part = parts.pop()
        if isinstance(part, Pair):
            parts += (part.left, part.right)
        elif isinstance(part, Name) and part.glob.listing:
            names.append(part.glob.matcher())
        elif isinstance(part, Numbers):
            ids |= {id for number, id in numbers.items() if part.first <= number <= part.last}
    return [
        node
        for node in nodes
        if node.id in ids
        or any(matches(node.name) or matches(f"{node.name}~{node.id}") for matches in names)
    ]


def _ids(expr: Expr, view: View) -> set[str]:
    """The ids that a target stands for."""
    if isinstance(expr, Pair):
        return _pair(expr, view)
    if isinstance(expr, All):
        return {node.id for node in view.nodes}
    if isinstance(expr, Name):
        return _named(expr.glob, view)
    if isinstance(expr, Numbers):
        return _numbered(expr, view)
    if isinstance(expr, Property):
        return _having(expr, view)
    if isinstance(expr, Group):
        names = set(view.group(expr.name))
        return {node.id for node in view.nodes if node.name in names}
    return _doing(expr.word, view)


def _pair(expr: Pair, view: View) -> set[str]:
    left, rights = _chain(expr)
    chosen = set(_part(left, view))
    for operator, right in rights:
        ids = _part(right, view)
        if operator == ",":
            chosen |= ids
        elif operator == "&":
            chosen &= ids
        else:
            chosen -= ids
    return chosen


def _part(expr: Expr, view: View) -> set[str]:
    """The ids of a part; a plain name in it that nobody has is a mistake, not nothing."""
    ids = _ids(expr, view)
    if not ids and isinstance(expr, Name) and expr.glob.literal:
        raise TargetError(_why_nothing(expr, view))
    return ids


def _chain(expr: Expr) -> tuple[Expr, list[tuple[str, Expr]]]:
    """A target from its leftmost part on: unions of many names are deep on the left."""
    rights: list[tuple[str, Expr]] = []
    while isinstance(expr, Pair):
        rights.append((expr.operator, expr.right))
        expr = expr.left
    return expr, rights[::-1]


def _named(glob: Glob, view: View) -> set[str]:
    name = glob.literal
    if name is None:
        matches = glob.matcher()
        return {node.id for node in view.nodes if matches(node.name)}
    found = view.by_name.get(name)
    if found is None and name:
        found = [node for node in view.nodes if name in _names(node)]
    return {node.id for node in found or ()}


def _names(node: Node) -> tuple[str, ...]:
    """What else a node is known by than its name."""
    return (*node.clusters, f"{node.name}~{node.id}")


def _numbered(expr: Numbers, view: View) -> set[str]:
    found = {id for number, id in view.numbers.items() if expr.first <= number <= expr.last}
    if expr.first not in view.numbers or expr.last not in view.numbers:
        top = max(view.numbers, default=0)
        there = f"there are 1 to {top}" if top else "there are no nodes"
        raise TargetError(f"{expr}: no node has such a number; {there}")
    return found


def _having(expr: Property, view: View) -> set[str]:
    """The nodes with such a property; an empty pattern selects those where it is empty."""
    empty = not expr.glob.parts
    if expr.key == "tags":
        tagged = _tagged(expr.glob)
        return {
            node.id
            for node in view.nodes
            if (any(tagged(*tag) for tag in node.tags.items()) if node.tags else empty)
        }
    matches = expr.glob.matcher()
    values = _properties(expr.key, view.nodes)
    if values and all(value is None for value in values):
        raise TargetError(_no_property(expr.key, view))
    return {
        node.id
        for node, value in zip(view.nodes, values, strict=True)
        if (matches(value) if value else empty)
    }


def _tagged(glob: Glob) -> Callable[[str, str], bool]:
    """Whether a tag's key and value match, each its own part of the pattern.

    Keys have colons too (`aws:cloudformation:stack-name`), so that the pattern may be split at any
    one, or be a key alone.
    """
    alone = glob.matcher()
    pairs = [(key.matcher(), value.matcher()) for key, value in _splits(glob)]
    return lambda key, value: (
        alone(key) or any(of_key(key) and of_value(value) for of_key, of_value in pairs)
    )


def _splits(glob: Glob) -> list[tuple[Glob, Glob]]:
    places = [
        (number, at)
        for number, part in enumerate(glob.parts)
        if part.kind == "text"
        for at, char in enumerate(part.text)
        if char in ":="
    ]
    found = []
    for number, at in places[:_SPLITS]:
        text = glob.parts[number].text
        before = parts((*glob.parts[:number], Part("text", text[:at])))
        after = parts((Part("text", text[at + 1 :]), *glob.parts[number + 1 :]))
        found.append((Glob(before), Glob(after)))
    return found


def _properties(key: str, nodes: Iterable[Node]) -> list[str | None]:
    """A property of each node, None where it has none of that name in whatever case."""
    held = [node.properties() for node in nodes]
    known: set[str] = set().union(*held)
    names = [each for each in known if ALIASES.get(each.lower(), each.lower()) == key]
    names.sort(key=lambda each: (each != key, each))
    return [next((each[name] for name in names if name in each), None) for each in held]


def _no_property(key: str, view: View) -> str:
    keys = sorted({each for node in view.nodes[:100] for each in node.properties()} | {"tags"})
    close = near(key, keys)
    hint = f"did you mean {close[0]}=?" if close else f"there are {', '.join(keys)}"
    return f"no node has a property {key}; {hint}"


def _doing(word: str, view: View) -> set[str]:
    if word in SESSION_WORDS:
        wanted = {"waiting", "unfinished"} if word == "waiting" else {word}
        return {node.id for node in view.nodes if view.state_of(node.id) in wanted}
    if word == "last":
        return set(view.last)
    if word == "differs":
        return set(view.differs)
    return {id for id, outcome in view.last.items() if outcome == word}


def _why_nothing(expr: Expr, view: View) -> str:
    """What to tell of a target that selects nothing: of its first part that does, if any."""
    if not view.nodes:
        return "there are no nodes"
    if isinstance(expr, Pair):
        left, rights = _chain(expr)
        for part in (left, *(right for operator, right in rights if operator != "!")):
            if not _ids(part, view):
                return _why_nothing(part, view)
    if isinstance(expr, Name):
        return _no_name(expr, view)
    if isinstance(expr, Property):
        values = _values(expr.key, view.nodes)
        near = _near(expr.glob, values) or sorted(values)[:3]
        if near:
            return f"no node has {format(expr)}; there is {', '.join(near)}"
    return f"{format(expr)} selects no node"


def _no_name(expr: Name, view: View) -> str:
    text = format(expr)
    same = view.by_name.get(expr.glob.plain.partition("~")[0], ())
    known = {each for node in view.nodes for each in (node.name, *node.clusters)}
    key, equals, value = expr.glob.plain.partition("=")
    if equals and "'" not in value and (key == "tags" or any(_properties(key, view.nodes))):
        hint = f"quotes make a name of all of it: type {key}='{value}'"
        return f"no node or cluster is called {text}; {hint}"
    near = _near(expr.glob, known.union(f"{node.name}~{node.id}" for node in same))
    if near:
        return f"no node or cluster is called {text}; did you mean {' or '.join(near)}?"
    some = ", ".join(node.name for node in view.nodes[:5])
    more = ", ..." if len(view.nodes) > 5 else ""
    return f"no node or cluster is called {text}; there are {some}{more}"


def _near(glob: Glob, texts: Collection[str]) -> list[str]:
    return near(glob.plain, sorted({*texts} - {""}), 3)


def _values(key: str, nodes: Sequence[Node]) -> set[str]:
    if key == "tags":
        return {f"{name}:{value}" for node in nodes for name, value in node.tags.items()}
    return {value for value in _properties(key, nodes) if value}
