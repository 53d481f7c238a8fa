"""Renders small templates with jinja2 itself, in the environment that transformers gives chat templates; python.json is the
result, which the Go package is compared with. usage: make_python.py > python.json (Python 3.11, jinja2 3.1.6; the cases are
in python_cases.py)"""
import datetime
import json
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from python_cases import CASES, VARS

NOW = datetime.datetime(2024, 7, 6, 9, 5, 3)


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


class TemplateDict:
    def __call__(self, *args, **kwargs):
        return dict(*args, **kwargs)

    def fromkeys(self, *args, **kwargs):
        return dict.fromkeys(*args, **kwargs)


class TemplateNamespace(jinja2.utils.Namespace):
    def __init__(*args, **kwargs):
        self, args = args[0], args[1:]
        attrs = dict(*args, **kwargs)
        for name in attrs:
            TemplateNamespace._check(name)
        jinja2.utils.Namespace.__init__(self, attrs)

    def __setitem__(self, name, value):
        TemplateNamespace._check(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)

    @staticmethod
    def _check(name):
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(name)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
env.filters["tojson"] = tojson
env.globals.update(raise_exception=raise_exception, dict=TemplateDict(), namespace=TemplateNamespace,
                   strftime_now=lambda format: NOW.strftime(format))

seen, rows = set(), []
for source in CASES:
    if source in seen:
        print("twice:", source, file=sys.stderr)
        continue
    seen.add(source)
    row = {"template": source}
    try:
        row["text"] = env.from_string(source).render(**json.loads(json.dumps(VARS)))
        if " at 0x" in row["text"]:
            print("prints an address:", source, file=sys.stderr)
            continue
        row["text"].encode("utf-8")
    except UnicodeEncodeError:
        print("no text:", source, file=sys.stderr)
        continue
    except NameError as e:  # a slip of jinja2's: it compiles an infinite number to a name
        continue
    except Exception as e:
        row["error"], row["message"] = type(e).__name__, str(e)
    rows.append(row)

one = lambda v: json.dumps(v, ensure_ascii=True)
print("{\"now\": " + one(NOW.strftime("%Y-%m-%d %H:%M:%S")) + ",\n\"vars\": " + one(VARS) + ",\n\"cases\": [\n" + ",\n".join(map(one, rows)) + "\n]}")
