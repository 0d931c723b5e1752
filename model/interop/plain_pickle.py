"""A pickle read without unpickling it: plain dicts, lists, texts, numbers, and nothing is called.

A pickle is a small program. The few of its opcodes that plain data needs are worked out here, over
`pickletools.genops`, which only takes the bytes apart; whatever else it asks for is refused by its
name. `torch_file` reads a checkpoint by the same steps, with tensors as descriptions.
"""

import pickletools
from collections.abc import Callable
from typing import Any

from model.interop.foreign_text import shown

MOST_BYTES = 4 << 20  # of a pickle; a checkpoint with an optimizer has a tenth of that

LARGEST_KEY = 2**31

VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY: dict[str, Callable[[], object]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
REMEMBER = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
RECALL = {"GET", "BINGET", "LONG_BINGET"}
NOTHING_TO_DO = {"PROTO", "FRAME", "STOP"}
BY_NAME = {"GLOBAL", "INST"}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class NotPlain(ValueError):
    """A pickle is damaged, or has more in it than data; `asks_for` is the name of what."""

    def __init__(self, message: str, asks_for: str | None = None) -> None:
        super().__init__(message)
        self.asks_for = asks_for


def read_plain_pickle(data: bytes) -> object:
    """What a pickle of any protocol holds. Raises NotPlain."""
    return PlainPickle().read(data)


def asked_for(data: bytes) -> set[str]:
    """The classes and functions that a pickle names outright, as far as it can be read."""
    names = set()
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in BY_NAME:
                names.add(_dotted(argument))
    except ValueError:
        pass
    return names


class PlainPickle:
    """The machine that a pickle is a program for, with most of it left out.

    What a subclass lets a pickle name, it also has to say what comes of.
    """

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # what lay on the stack at each mark
        self._memo: dict[int, Any] = {}
        self._steps: dict[str, Callable[[], None]] = {
            "MARK": self._mark,
            "TUPLE": lambda: self._push(tuple(self._since_mark())),
            "LIST": lambda: self._push(self._since_mark()),
            "DICT": self._dict,
            "APPEND": lambda: self._append([self._stack.pop()]),
            "APPENDS": lambda: self._append(self._since_mark()),
            "SETITEM": lambda: self._set([self._stack.pop(), self._stack.pop()][::-1]),
            "SETITEMS": lambda: self._set(self._since_mark()),
            "STACK_GLOBAL": self._named_on_stack,
            "REDUCE": self._reduce,
            "BUILD": self._build,
            "BINPERSID": lambda: self._push(self.stored(self._stack.pop())),
        }

    def read(self, data: bytes) -> object:
        """Raises NotPlain."""
        if len(data) > MOST_BYTES:
            raise NotPlain(f"its pickle has {len(data):,} bytes, over {MOST_BYTES:,}")
        try:
            for opcode, argument, _ in pickletools.genops(data):
                self._run(opcode.name, argument)
            return self._stack.pop()
        except NotPlain:
            raise
        except (ValueError, IndexError, KeyError, OverflowError) as error:
            raise NotPlain(f"its pickle is damaged or cut off ({shown(error)})") from None

    # What only a subclass allows

    def named(self, name: str) -> object:
        """What stands for the class or function of that name."""
        raise NotPlain(
            f"it asks for {shown(name)}, where plain dicts, texts and numbers are read", name
        )

    def called(self, function: object, arguments: object) -> object:
        """What a call gives; `function` is what `named` gave, or anything else."""
        raise NotPlain(f"it calls a {_kind(function)} with a {_kind(arguments)}")

    def built(self, target: object, state: object) -> None:
        """For attributes of an object."""
        raise NotPlain(f"it sets a {_kind(state)} as attributes of a {_kind(target)}")

    def stored(self, id: object) -> object:
        """What is kept outside of the pickle under that id."""
        raise NotPlain(f"it refers by a {_kind(id)} to what is not in it")

    # The opcodes

    def _run(self, opcode: str, argument: Any) -> None:
        if opcode in VALUES:
            self._push(argument)
        elif opcode in CONSTANTS:
            self._push(CONSTANTS[opcode])
        elif opcode in EMPTY:
            self._push(EMPTY[opcode]())
        elif opcode in REMEMBER:
            self._memo[len(self._memo) if argument is None else argument] = self._stack[-1]
        elif opcode in RECALL:
            self._push(self._memo[argument])
        elif opcode in TUPLES:
            self._tuple(TUPLES[opcode])
        elif opcode in BY_NAME:
            self._name(opcode, argument)
        elif opcode in self._steps:
            self._steps[opcode]()
        elif opcode not in NOTHING_TO_DO:
            raise NotPlain(f"its pickle has the opcode {opcode}, which plain data does not need")

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[Any]:
        found, self._stack = self._stack, self._below.pop()
        return found

    def _tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise NotPlain("its pickle is damaged (a tuple of what is not there)")
        self._stack[-count:] = [tuple(self._stack[-count:])]

    def _dict(self) -> None:
        entries = self._since_mark()
        self._push({})
        self._set(entries)

    def _append(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is not list:
            raise NotPlain("it appends to what is no list")
        self._stack[-1].extend(items)

    def _set(self, entries: list[Any]) -> None:
        """Keys and values in turns."""
        target, keys = self._stack[-1], entries[::2]
        if type(target) is not dict or len(entries) % 2:
            raise NotPlain("it sets entries of what is no dict")
        if not all(map(_is_key, keys)):
            raise NotPlain("a dict has a key that is neither a text nor a small integer")
        target.update(zip(keys, entries[1::2], strict=True))

    def _name(self, opcode: str, argument: str) -> None:
        named = self.named(_dotted(argument))
        if opcode != "GLOBAL":  # which would make an instance of it besides
            raise NotPlain(f"its pickle has the opcode {opcode}, which plain data does not need")
        self._push(named)

    def _named_on_stack(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise NotPlain("it asks for something by what is no name")
        self._push(self.named(f"{module}.{name}"))

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        self._push(self.called(function, arguments))

    def _build(self) -> None:
        state = self._stack.pop()
        self.built(self._stack[-1], state)


def _dotted(argument: Any) -> str:
    """`pickletools` puts a space between module and name."""
    return str(argument).replace(" ", ".")


def _kind(value: object) -> str:
    return type(value).__name__


def _is_key(value: object) -> bool:
    """The hash of a deep tuple ends the process, and large integers may all have the same one."""
    return isinstance(value, str) or (isinstance(value, int) and abs(value) <= LARGEST_KEY)
