"""Templates: the syntax is Jinja2's, restricted by an allow-list over the parsed template.

Jinja2 only parses a template and never compiles it: its sandbox bounds neither time nor memory, and its compiler
evaluates constants. :mod:`execution_options.notifications.evaluation` evaluates what is allowed, in a number of steps
that the template's length bounds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from jinja2 import Environment, TemplateSyntaxError, nodes

from execution_options.notifications.variables import FIELDS, LISTS, MAPS, PAGE_FIELDS, PAGE_VARIABLES, VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FILTERS: Final = {
    "capitalize": 0,
    "default": 1,
    "first": 0,
    "join": 1,
    "last": 0,
    "length": 0,
    "lower": 0,
    "title": 0,
    "trim": 0,
    "truncate": 1,
    "upper": 0,
}
"""Names of the filters, and the most arguments that each takes."""
OPERATORS: Final = {"eq": "==", "ne": "!=", "in": "in", "notin": "not in"}

_NAMES: Final = {
    nodes.Add: "arithmetic",
    nodes.Sub: "arithmetic",
    nodes.Mul: "arithmetic",
    nodes.Div: "arithmetic",
    nodes.FloorDiv: "arithmetic",
    nodes.Mod: "arithmetic",
    nodes.Pow: "arithmetic",
    nodes.Neg: "arithmetic",
    nodes.Pos: "arithmetic",
    nodes.Call: "a call",
    nodes.Concat: "~",
    nodes.Test: "a test",
    nodes.Slice: "a slice",
    nodes.Assign: "set",
    nodes.AssignBlock: "set",
    nodes.Block: "block",
    nodes.CallBlock: "call",
    nodes.Dict: "a map",
    nodes.Extends: "extends",
    nodes.FilterBlock: "filter",
    nodes.FromImport: "import",
    nodes.Import: "import",
    nodes.Include: "include",
    nodes.List: "a list",
    nodes.Macro: "macro",
    nodes.Tuple: "a list",
    nodes.With: "with",
}
_PARSER: Final = Environment(keep_trailing_newline=True)  # noqa: S701 - nothing is rendered by it


class TemplateError(ValueError):
    """A template is invalid; the message says what is wrong and where."""


class _Known(NamedTuple):
    """What templates can use: names of variables, and members of those with fixed ones."""

    variables: frozenset[str]
    fields: Mapping[str, tuple[str, ...]]
    bound: frozenset[str] = frozenset()
    """Names of a ``for``."""


_OF_TEXTS: Final = _Known(VARIABLES, FIELDS)
_OF_PAGES: Final = _Known(PAGE_VARIABLES, PAGE_FIELDS)


@lru_cache(maxsize=1024)
def parsed(source: str, *, page: bool = False) -> nodes.Template:
    """The parsed and checked template.

    Args:
        source: the template.
        page: whether it is in the body of an HTTP request, which has more variables.

    Raises:
        TemplateError: it has a syntax error, or uses something that is not allowed.
    """
    try:
        tree = _PARSER.parse(source)
        _check_body(tree.body, _OF_PAGES if page else _OF_TEXTS)
    except TemplateSyntaxError as error:
        raise TemplateError(f"line {error.lineno}: {error.message}") from None
    except RecursionError:
        raise TemplateError("it is nested too deeply") from None
    except (ValueError, OverflowError) as error:
        if isinstance(error, TemplateError):
            raise
        raise TemplateError("it has a number that is too large") from None
    return tree


def problem(source: str, *, page: bool = False) -> str | None:
    """What is wrong with a template; ``None`` if nothing is. Arguments as for :func:`parsed`."""
    try:
        parsed(source, page=page)
    except TemplateError as error:
        return str(error)
    return None


def _check_body(body: list[nodes.Node], known: _Known) -> None:
    for node in body:
        match node:
            case nodes.Output():
                for part in node.nodes:
                    if not isinstance(part, nodes.TemplateData):
                        _check(part, known)
            case nodes.If():
                _check(node.test, known)
                for branch in (node.body, node.elif_, node.else_):
                    _check_body(list(branch), known)
            case nodes.For():
                _check_loop(node, known)
            case _:
                raise _refused(node)


def _check_loop(node: nodes.For, known: _Known) -> None:
    target, over = node.target, node.iter
    if known.bound:
        raise TemplateError(f"line {node.lineno}: a for inside a for is not allowed")
    if node.recursive or node.test is not None:
        raise TemplateError(f"line {node.lineno}: recursive and if are not allowed in a for")
    if not isinstance(target, nodes.Name) or target.name in known.variables:
        raise TemplateError(
            f"line {node.lineno}: a for needs one name that is not a variable, for example {{% for o in options %}}"
        )
    if not isinstance(over, nodes.Name) or over.name not in LISTS | MAPS:
        raise TemplateError(f"line {node.lineno}: for goes over one of {_listed(LISTS | MAPS)}")
    _check_body(list(node.body), known._replace(bound=frozenset({target.name})))
    _check_body(list(node.else_), known)


def _check(node: nodes.Node, known: _Known) -> None:
    match node:
        case nodes.Const():
            if not isinstance(node.value, str | int | bool):
                raise _refused(node)
        case nodes.Name():
            if node.name not in known.variables | known.bound:
                raise TemplateError(
                    f"line {node.lineno}: there is no variable {node.name}; there are {_listed(known.variables)}"
                )
        case nodes.Getattr():
            _check_member(node, node.attr, known)
        case nodes.Getitem():
            _check_item(node, known)
        case nodes.Filter():
            _check_filter(node, known)
        case nodes.Compare():
            for operand in node.ops:
                if operand.op not in OPERATORS:
                    raise TemplateError(f"line {node.lineno}: comparisons are {_listed(OPERATORS.values())}")
                _check(operand.expr, known)
            _check(node.expr, known)
        case nodes.And() | nodes.Or() | nodes.Not() | nodes.CondExpr():
            for part in node.iter_child_nodes():
                _check(part, known)
        case _:
            raise _refused(node)


def _check_member(node: nodes.Getattr | nodes.Getitem, member: str, known: _Known) -> None:
    base = node.node
    if not isinstance(base, nodes.Name) or (base.name not in known.fields and base.name not in MAPS):
        some = _listed([*known.fields, *MAPS])
        raise TemplateError(f"line {node.lineno}: only {some} have members, such as workflow.name")
    if base.name in known.fields and member not in known.fields[base.name]:
        members = _listed(f"{base.name}.{name}" for name in known.fields[base.name])
        raise TemplateError(f"line {node.lineno}: there is no {base.name}.{member}; there are {members}")


def _check_item(node: nodes.Getitem, known: _Known) -> None:
    key = node.arg
    if isinstance(key, nodes.Const) and isinstance(key.value, str):
        _check_member(node, key.value, known)
    elif isinstance(key, nodes.Name) and key.name in known.bound:
        base = node.node
        if not isinstance(base, nodes.Name) or base.name not in MAPS:
            raise TemplateError(f"line {node.lineno}: only {_listed(MAPS)} can be indexed by the name of a for")
    else:
        raise TemplateError(f"line {node.lineno}: only a string is allowed in square brackets, as in labels['team']")


def _check_filter(node: nodes.Filter, known: _Known) -> None:
    if node.name not in FILTERS:
        raise TemplateError(f"line {node.lineno}: there is no filter {node.name}; there are {_listed(FILTERS)}")
    if node.node is None:
        raise _refused(node)
    if node.kwargs or node.dyn_args or node.dyn_kwargs or len(node.args) > FILTERS[node.name]:
        raise TemplateError(f"line {node.lineno}: {node.name} takes at most {FILTERS[node.name]} arguments, unnamed")
    for argument in node.args:
        if not isinstance(argument, nodes.Const):
            raise TemplateError(f"line {node.lineno}: the argument of {node.name} must be a string or a number")
        _check(argument, known)
    if node.name == "truncate" and not (node.args and type(_value(node.args[0])) is int):
        raise TemplateError(f"line {node.lineno}: truncate needs a number of characters")
    if node.name == "join":
        # Joining the characters of a string again and again would make it grow without bound.
        if not isinstance(node.node, nodes.Name) or node.node.name not in LISTS | MAPS:
            raise TemplateError(f"line {node.lineno}: join is for {_listed(LISTS | MAPS)}")
        if node.args and not isinstance(_value(node.args[0]), str):
            raise TemplateError(f"line {node.lineno}: join needs a string as separator")
    _check(node.node, known)


def _value(node: nodes.Node) -> object:
    return node.value if isinstance(node, nodes.Const) else None


def _refused(node: nodes.Node) -> TemplateError:
    what = _NAMES.get(type(node), type(node).__name__)
    return TemplateError(
        f"line {node.lineno}: {what} is not allowed in a template, only variables, if, for and the filters "
        f"{_listed(FILTERS)}"
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
