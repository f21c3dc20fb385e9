"""The cases of Autobahn's test suite, whose package is written in Python 2.

A text of Python 2 is bytes. Here each byte is a character of Latin-1, also in the cases' own texts,
so the cases run as they are; the fuzzer turns such texts into bytes on the way out, and back.
"""

import binascii as real_binascii
import importlib.util
import pathlib
import re
import sys
import types

from autobahn.websocket.utf8validator import Utf8Validator as RealValidator

# Group 12 and 13 are compression; 9.9 is not in Autobahn's own list either.
OTHER_FILES = ["case12_x_x", "case9_9_1", "__init__"]
CHANGES = [
    (r"(?m)^(\s*)print (.*)$", r"\1print(\2)"),
    (r"\bxrange\b", "range"),
    (r"\(object, Case, ?\)", "(Case,)"),
    (r"len\(self\.payload\) / ", "len(self.payload) // "),
    (r"(?m)^import binascii$", "from autobahn_cases import binascii"),
    (r"from autobahn\.websocket\.utf8validator import", "from autobahn_cases import"),
]


class binascii:
    @staticmethod
    def b2a_hex(text):
        return real_binascii.b2a_hex(raw(text)).decode()


class Utf8Validator(RealValidator):
    def validate(self, text):
        return super().validate(raw(text))


def raw(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def load():
    """All cases as {id: class}, such as `6.4.1`."""
    [package] = importlib.util.find_spec("autobahntestsuite").submodule_search_locations
    folder = pathlib.Path(package) / "case"
    base = module(folder / "case.py").Case
    # Pickles of equal texts differ where one is the same object twice.
    base.compare = lambda self, one, other: one == other
    found = {}
    for file in folder.glob("case*.py"):
        if file.stem in ["case", *OTHER_FILES]:
            continue
        for name, value in vars(module(file)).items():
            for one in value if isinstance(value, list) and name.endswith("_X") else [value]:
                if isinstance(one, type) and issubclass(one, base) and re.fullmatch(r"Case\d+(_\d+)+", one.__name__):
                    found[one.__name__[4:].replace("_", ".")] = one
    return dict(sorted(found.items(), key=lambda pair: numbers(pair[0])))


def module(file):
    if file.stem in sys.modules:
        return sys.modules[file.stem]
    text = file.read_text(encoding="latin-1")
    for pattern, replacement in CHANGES:
        text = re.sub(pattern, replacement, text)
    for other in re.findall(r"(?m)^from (case\w+) import", text):
        module(file.with_name(f"{other}.py"))
    made = types.ModuleType(file.stem)
    sys.modules[file.stem] = made
    exec(compile(text, str(file), "exec", dont_inherit=True), vars(made))
    return made


def numbers(name):
    return [int(part) for part in name.split(".")]
