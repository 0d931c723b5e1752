"""Which endpoint a path belongs to, for figures that must not grow with what people ask for."""

import re
from collections.abc import Iterable

OTHER = "other"  # all that there is nothing at, as one

PARAMETER = re.compile(r"\\\{(\w+)(:path)?\\\}")


class RouteNames:
    """Paths of `templates`, as `/api/runs/{id}`.

    Asked without the framework, since it never comes to a route where a request is refused.
    """

    def __init__(self, templates: Iterable[str]) -> None:
        every = dict.fromkeys(templates)
        self._fixed = {template for template in every if "{" not in template}
        self._patterns = [
            (re.compile(_pattern(template)), template) for template in every if "{" in template
        ]

    def name(self, path: str) -> str:
        """The template that `path` fits, or OTHER."""
        if path in self._fixed:
            return path
        fitting = (name for pattern, name in self._patterns if pattern.fullmatch(path))
        return next(fitting, OTHER)


def _pattern(template: str) -> str:
    return PARAMETER.sub(lambda found: ".*" if found[2] else "[^/]+", re.escape(template))
