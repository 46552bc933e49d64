"""How long `fieldkit --help` takes against a Python that does nothing: the promise is at most 150 ms more."""

from __future__ import annotations

import sys

from measure import Contender, arguments, compare, machine, table, write_json

PROMISE_S = 0.150


def main() -> int:
    options = arguments(__doc__ or "", rounds=15).parse_args()
    contenders = [
        Contender("python -c pass", [sys.executable, "-c", "pass"]),
        Contender("python -c 'import click'", [sys.executable, "-c", "import click"]),
        Contender("python -c 'import fieldkit'", [sys.executable, "-c", "import fieldkit"]),
        Contender("fieldkit --help", [sys.executable, "-m", "fieldkit", "--help"]),
    ]
    results = compare(contenders, rounds=options.rounds, say=lambda _line: None)
    more = results[-1].median("wall_s") - results[0].median("wall_s")
    print(table(results))
    least, cpu = (results[-1].best(what) - results[0].best(what) for what in ("wall_s", "cpu_s"))
    print(
        f"\nfieldkit --help takes {more * 1000:.0f} ms more than Python itself; the promise is {PROMISE_S * 1000:.0f}."
    )
    print(
        f"Best run against best run {least * 1000:.0f} ms, in CPU time {cpu * 1000:.0f} ms: without the machine's load."
    )
    print(machine())
    if options.json:
        write_json(
            options.json,
            "start",
            results,
            more_s=more,
            more_best_s=least,
            more_cpu_s=cpu,
            promise_s=PROMISE_S,
        )
    return 0 if more <= PROMISE_S else 1


if __name__ == "__main__":
    sys.exit(main())
