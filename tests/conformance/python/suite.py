"""What the suites of others share: environments, the lists of `expected/`, and the verdict."""

import os
import pathlib
import subprocess
import sys

from brokers import CONFORMANCE, scratch

CATEGORIES = ("missing", "suite", "bug")
# The suite is wrong in a way that shows at times only: both outcomes are right.
AT_TIMES = "suite at times"
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class ListError(Exception):
    """A line of an expected list that says nothing usable."""


def expected(suite):
    """`{test: (category, reason)}` of `expected/SUITE.txt`. A line is `TEST # CATEGORY: REASON`, with
    the category `missing` (a feature that Klamm lacks, named first), `suite` (the test is wrong, or
    wrong for this set-up; `suite at times`: a race in the test) or `bug` (of Klamm)."""
    out = {}
    path = CONFORMANCE / "expected" / f"{suite}.txt"
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        test, _, why = line.partition(" # ")
        category, _, reason = why.partition(": ")
        if category not in (*CATEGORIES, AT_TIMES) or not reason.strip() or test in out:
            raise ListError(f"{path.name}:{number}: not `TEST # missing|suite|bug: REASON`, or a second time: {line}")
        out[test.strip()] = (category, reason.strip())
    return out


def verdict(suite, results, subset=False):
    """Prints what differs from the committed list and the counts; gives the exit code. `results` is
    `{test: (outcome, detail)}`. A `subset` says nothing about listed tests that did not run."""
    known = expected(suite)
    wrong = []
    count = dict.fromkeys((PASSED, SKIPPED, *CATEGORIES), 0)
    for test, (outcome, detail) in sorted(results.items()):
        if outcome == FAILED and test in known:
            count[known[test][0].split()[0]] += 1
        elif outcome == FAILED:
            wrong.append(f"failed, and is not on the list: {test}\n{indented(detail)}")
        elif test in known and known[test][0] != AT_TIMES:
            wrong.append(f"{outcome}, but is on the list: {test}")
        else:
            count[outcome] += 1
    if not subset:
        wrong += [f"on the list, but not in the suite: {test}" for test in sorted(known.keys() - results.keys())]
    for line in wrong:
        print(line)
    print(f"{suite}: {len(results)} tests: {count[PASSED]} pass, {count['missing']} want a missing feature, "
          f"{count['suite']} are wrong themselves, {count['bug']} show a known bug, "
          f"{count[SKIPPED]} skip themselves; {len(wrong)} differ from expected/{suite}.txt", flush=True)
    return 1 if wrong else 0


def unexpected(suite, results):
    """The tests that failed and are not on the list. Scripts that are part of the test command try
    these once more, alone, and say so: many tests of others take a machine with nothing else to do
    for granted."""
    return [test for test, (outcome, _) in results.items() if outcome == FAILED and test not in expected(suite)]


def second_try(suite, results, more):
    """Takes over what passed at the second try."""
    for test, (outcome, detail) in more.items():
        if outcome == PASSED:
            print(f"{suite}: passed at the second try only: {test}\n{indented(results[test][1])}")
            results[test] = (outcome, detail)


def indented(text, lines=40):
    return "\n".join("    " + line for line in (text or "").splitlines()[-lines:])


def environment(name, packages):
    """Python of a virtual environment that has exactly `packages` (and what they need)."""
    directory = scratch(name) / "venv"
    python, mark = directory / "bin/python", directory / "installed"
    wanted = "\n".join(packages)
    if not mark.exists() or mark.read_text() != wanted:
        quiet = ("--quiet", "--disable-pip-version-check")
        subprocess.run([sys.executable, "-m", "venv", "--clear", directory], check=True)
        subprocess.run([python, "-m", "pip", "install", *quiet, *packages], check=True)
        mark.write_text(wanted)
    return python


def run_limited(command, limit, log, **options):
    """Runs a command in its own process group with its output in the file `log`; gives its exit
    code, or `None` when it ran into the limit (seconds) and was killed with all it started."""
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                   start_new_session=True, **options)
        try:
            return process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.returncode is None:
                os.killpg(process.pid, 9)
                process.wait()


def tail(log, size=6000):
    data = pathlib.Path(log).read_bytes()
    return data[-size:].decode(errors="replace")
