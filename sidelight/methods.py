"""Methods made of calls, with the names, types and words that `help` and an editor show."""

import inspect
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, TypeVar, get_args

Method = TypeVar("Method", bound=Callable[..., Any])


def as_method(method: Method, call: Callable[..., Any], returns: Any = None) -> Method:
    """Let `method` look like `call`, with a `self` and with what its caller gets.

    That is what the call's own type ends with, as T in `Call[T]`; of `returns`, if that is given,
    as in `Stream[T]`.
    """
    update_wrapper(method, call)
    written = inspect.signature(call)
    (*_, result) = get_args(written.return_annotation)
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    method.__signature__ = written.replace(  # type: ignore[attr-defined]
        parameters=[itself, *written.parameters.values()],
        return_annotation=returns[result] if returns else result,
    )
    return method
