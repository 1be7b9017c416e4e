"""Evaluates a checked template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jinja2 import nodes

from execution_options.notifications.template import TemplateError, parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Escaped(str):
    """A text with values that are escaped already."""


def evaluated(
    source: str,
    variables: Mapping[str, Any],
    *,
    limit: int,
    escape: Callable[[str], str] = str,
    page: bool = False,
) -> str:
    """The text that a template produces.

    Args:
        source: the template.
        variables: values by name.
        limit: longest text, in characters.
        escape: applied to every value but :class:`Escaped`, and not to the template's own text.
        page: as for :func:`~execution_options.notifications.template.parsed`.

    Raises:
        TemplateError: the template is invalid, or its text is too long.
    """
    written = _Written(limit, escape)
    try:
        _body(parsed(source, page=page).body, variables, written)
    except (TypeError, RecursionError):  # a filter on a value of the wrong type
        raise TemplateError("a filter is applied to a value that it cannot take") from None
    return "".join(written.parts)


class _Written:
    def __init__(self, limit: int, escape: Callable[[str], str]) -> None:
        self.parts: list[str] = []
        self._left = limit
        self._limit = limit
        self._escape = escape

    def literal(self, text: str) -> None:
        self._left -= len(text)
        if self._left < 0:
            raise TemplateError(f"its text is longer than {self._limit} characters")
        self.parts.append(text)

    def value(self, value: Any) -> None:
        self.literal(value if isinstance(value, Escaped) else self._escape(_text(value)))


def _body(body: list[nodes.Node], variables: Mapping[str, Any], written: _Written) -> None:
    for node in body:
        match node:
            case nodes.Output():
                for part in node.nodes:
                    if isinstance(part, nodes.TemplateData):
                        written.literal(part.data)
                    else:
                        written.value(_of(part, variables))
            case nodes.If():
                _branch(node, variables, written)
            case nodes.For():
                items = _of(node.iter, variables)
                target = node.target
                assert isinstance(target, nodes.Name)  # noqa: S101 - checked by template.parsed
                for item in items:
                    _body(list(node.body), {**variables, target.name: item}, written)
                if not items:
                    _body(list(node.else_), variables, written)


def _branch(node: nodes.If, variables: Mapping[str, Any], written: _Written) -> None:
    for branch in (node, *node.elif_):
        if _of(branch.test, variables):
            _body(list(branch.body), variables, written)
            return
    _body(list(node.else_), variables, written)


def _of(node: nodes.Node | None, variables: Mapping[str, Any]) -> Any:
    match node:
        case nodes.Const():
            return node.value
        case nodes.Name():
            return variables.get(node.name, "")
        case nodes.Getattr():
            return _of(node.node, variables).get(node.attr, "")
        case nodes.Getitem():
            return _of(node.node, variables).get(_of(node.arg, variables), "")
        case nodes.Filter():
            arguments = [_of(argument, variables) for argument in node.args]
            return _filtered(node.name, _of(node.node, variables), arguments)
        case nodes.Compare():
            return _compared(node, variables)
        case nodes.And():
            return _of(node.left, variables) and _of(node.right, variables)
        case nodes.Or():
            return _of(node.left, variables) or _of(node.right, variables)
        case nodes.Not():
            return not _of(node.node, variables)
        case nodes.CondExpr():
            return _of(node.expr1 if _of(node.test, variables) else node.expr2, variables)
    return ""


def _compared(node: nodes.Compare, variables: Mapping[str, Any]) -> bool:
    left = _of(node.expr, variables)
    for operand in node.ops:
        right = _of(operand.expr, variables)
        match operand.op:
            case "eq":
                holds = left == right
            case "ne":
                holds = left != right
            case "in":
                holds = left in right
            case _:
                holds = left not in right
        if not holds:
            return False
        left = right
    return True


def _filtered(name: str, value: Any, arguments: list[Any]) -> Any:
    match name:
        case "default":
            return value or (arguments[0] if arguments else "")
        case "join":
            return (arguments[0] if arguments else "").join(_text(item) for item in value)
        case "length":
            return len(value)
        case "first" | "last":
            items = list(value)
            return (items[0] if name == "first" else items[-1]) if items else ""
        case "truncate":
            text, size = _text(value), max(1, arguments[0])
            return text if len(text) <= size else f"{text[: size - 1]}…"
        case "trim":
            return _text(value).strip()
    changed: str = getattr(_text(value), name)()
    return changed


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple | dict):
        return ", ".join(str(item) for item in value)
    return str(value)
