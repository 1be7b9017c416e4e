"""Templates: the syntax is Jinja2's, restricted by an allow-list over the parsed template.

Jinja2 only parses a template and never compiles it: its sandbox bounds neither time nor memory, and its compiler
evaluates constants. :mod:`execution_options.notifications.evaluation` evaluates what is allowed, in a number of steps
that the template's length bounds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, TemplateSyntaxError, nodes

from execution_options.notifications.variables import FIELDS, LISTS, MAPS, VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterable

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


@lru_cache(maxsize=256)
def parsed(source: str) -> nodes.Template:
    """The parsed and checked template.

    Raises:
        TemplateError: it has a syntax error, or uses something that is not allowed.
    """
    try:
        tree = _PARSER.parse(source)
        _check_body(tree.body, frozenset())
    except TemplateSyntaxError as error:
        raise TemplateError(f"line {error.lineno}: {error.message}") from None
    except RecursionError:
        raise TemplateError("it is nested too deeply") from None
    except (ValueError, OverflowError) as error:
        if isinstance(error, TemplateError):
            raise
        raise TemplateError("it has a number that is too large") from None
    return tree


def problem(source: str) -> str | None:
    """What is wrong with a template; ``None`` if nothing is."""
    try:
        parsed(source)
    except TemplateError as error:
        return str(error)
    return None


def _check_body(body: list[nodes.Node], bound: frozenset[str]) -> None:
    for node in body:
        match node:
            case nodes.Output():
                for part in node.nodes:
                    if not isinstance(part, nodes.TemplateData):
                        _check(part, bound)
            case nodes.If():
                _check(node.test, bound)
                for branch in (node.body, node.elif_, node.else_):
                    _check_body(list(branch), bound)
            case nodes.For():
                _check_loop(node, bound)
            case _:
                raise _refused(node)


def _check_loop(node: nodes.For, bound: frozenset[str]) -> None:
    target, over = node.target, node.iter
    if bound:
        raise TemplateError(f"line {node.lineno}: a for inside a for is not allowed")
    if node.recursive or node.test is not None:
        raise TemplateError(f"line {node.lineno}: recursive and if are not allowed in a for")
    if not isinstance(target, nodes.Name) or target.name in VARIABLES:
        raise TemplateError(
            f"line {node.lineno}: a for needs one name that is not a variable, for example {{% for o in options %}}"
        )
    if not isinstance(over, nodes.Name) or over.name not in LISTS | MAPS:
        raise TemplateError(f"line {node.lineno}: for goes over one of {_listed(LISTS | MAPS)}")
    _check_body(list(node.body), bound | {target.name})
    _check_body(list(node.else_), bound)


def _check(node: nodes.Node, bound: frozenset[str]) -> None:
    match node:
        case nodes.Const():
            if not isinstance(node.value, str | int | bool):
                raise _refused(node)
        case nodes.Name():
            if node.name not in VARIABLES and node.name not in bound:
                raise TemplateError(
                    f"line {node.lineno}: there is no variable {node.name}; there are {_listed(VARIABLES)}"
                )
        case nodes.Getattr():
            _check_member(node, node.attr, bound)
        case nodes.Getitem():
            _check_item(node, bound)
        case nodes.Filter():
            _check_filter(node, bound)
        case nodes.Compare():
            for operand in node.ops:
                if operand.op not in OPERATORS:
                    raise TemplateError(f"line {node.lineno}: comparisons are {_listed(OPERATORS.values())}")
                _check(operand.expr, bound)
            _check(node.expr, bound)
        case nodes.And() | nodes.Or() | nodes.Not() | nodes.CondExpr():
            for part in node.iter_child_nodes():
                _check(part, bound)
        case _:
            raise _refused(node)


def _check_member(node: nodes.Getattr | nodes.Getitem, member: str, bound: frozenset[str]) -> None:
    base = node.node
    if not isinstance(base, nodes.Name) or (base.name not in FIELDS and base.name not in MAPS):
        raise TemplateError(f"line {node.lineno}: only {_listed([*FIELDS, *MAPS])} have members, such as workflow.name")
    if base.name in FIELDS and member not in FIELDS[base.name]:
        known = _listed(f"{base.name}.{name}" for name in FIELDS[base.name])
        raise TemplateError(f"line {node.lineno}: there is no {base.name}.{member}; there are {known}")


def _check_item(node: nodes.Getitem, bound: frozenset[str]) -> None:
    key = node.arg
    if isinstance(key, nodes.Const) and isinstance(key.value, str):
        _check_member(node, key.value, bound)
    elif isinstance(key, nodes.Name) and key.name in bound:
        base = node.node
        if not isinstance(base, nodes.Name) or base.name not in MAPS:
            raise TemplateError(f"line {node.lineno}: only {_listed(MAPS)} can be indexed by the name of a for")
    else:
        raise TemplateError(f"line {node.lineno}: only a string is allowed in square brackets, as in labels['team']")


def _check_filter(node: nodes.Filter, bound: frozenset[str]) -> None:
    if node.name not in FILTERS:
        raise TemplateError(f"line {node.lineno}: there is no filter {node.name}; there are {_listed(FILTERS)}")
    if node.node is None:
        raise _refused(node)
    if node.kwargs or node.dyn_args or node.dyn_kwargs or len(node.args) > FILTERS[node.name]:
        raise TemplateError(f"line {node.lineno}: {node.name} takes at most {FILTERS[node.name]} arguments, unnamed")
    for argument in node.args:
        if not isinstance(argument, nodes.Const):
            raise TemplateError(f"line {node.lineno}: the argument of {node.name} must be a string or a number")
        _check(argument, bound)
    if node.name == "truncate" and not (node.args and type(_value(node.args[0])) is int):
        raise TemplateError(f"line {node.lineno}: truncate needs a number of characters")
    if node.name == "join":
        # Joining the characters of a string again and again would make it grow without bound.
        if not isinstance(node.node, nodes.Name) or node.node.name not in LISTS | MAPS:
            raise TemplateError(f"line {node.lineno}: join is for {_listed(LISTS | MAPS)}")
        if node.args and not isinstance(_value(node.args[0]), str):
            raise TemplateError(f"line {node.lineno}: join needs a string as separator")
    _check(node.node, bound)


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
