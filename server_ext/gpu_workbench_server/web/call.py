"""One HTTP call, decoded: what a handler of a route gets to see. Knows no tornado."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from ..errors import BadRequest
from ..ports import Principal
from .context import Services, Workbench

B = TypeVar("B")
Q = TypeVar("Q")

_AT = re.compile(r"^(?P<what>.*?) - at `\$\.?(?P<path>.*?)`$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Call(Generic[B, Q]):
    """Who calls, with which body and query (already of the route's types), and what to call."""

    who: Principal
    workbench: Workbench
    services: Services
    item: str
    """The id in the path; empty where the route has none."""
    body: B
    query: Q

    @property
    def number(self) -> int:
        """The id of a request or lease."""
        return int(self.item)


def decode_body(raw: bytes, kind: type[Any] | None) -> Any:
    """The body as the route's type, or `BadRequest` that names the field."""
    if kind is None:
        return None
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise bad_request(error, "body") from None


def decode_query(raw: Mapping[str, str], kind: type[Any] | None) -> Any:
    """The query string as the route's type; names that the route does not know are ignored."""
    if kind is None:
        return None
    try:
        return msgspec.convert(dict(raw), type=kind, strict=False)
    except msgspec.ValidationError as error:
        raise bad_request(error, "query") from None


def bad_request(error: Exception, where: str) -> BadRequest:
    """msgspec's sentence, with the path of the field first: "count: Expected `int`, got `str`"."""
    text = str(error)
    found = _AT.match(text)
    if found and found["path"]:
        text = f"{found['path']}: {found['what']}"
    elif found:
        text = found["what"]
    return BadRequest(
        f"The {where} can't be read: {text}.",
        "The types of every route are in openapi.json.",
    )
