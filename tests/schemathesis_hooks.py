"""Read by schemathesis, in its own process, before it reads the API's description."""

from typing import Any

import schemathesis


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """It takes no tuples within lists: they become lists of what may be at any of the places."""
    pending: list[Any] = [raw_schema]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if "prefixItems" in node:
                node["items"] = {"anyOf": node.pop("prefixItems")}
            pending += node.values()
        elif isinstance(node, list):
            pending += node
