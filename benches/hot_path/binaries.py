"""The bench `hot_path` as a program: building it, counting its instructions, timing it."""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
MEASURED = "klamm_measured"


def fail(text):
    """Ends with one line."""
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {text}")


def need(program, why):
    if shutil.which(program) is None:
        fail(f"{program} is not installed: {why}")


def build(tree, target):
    """Builds the bench of a source tree and returns its path."""
    command = ["cargo", "bench", "--bench", "hot_path", "--no-run", "--message-format=json-render-diagnostics"]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    built = subprocess.run(command, cwd=tree, env=environment, stdout=subprocess.PIPE, text=True)
    if built.returncode != 0:
        fail(f"the bench hot_path does not build in {tree}")
    for line in built.stdout.splitlines():
        artifact = json.loads(line)
        if artifact.get("executable") and artifact["target"]["name"] == "hot_path":
            return pathlib.Path(artifact["executable"])
    fail("cargo says nothing of the bench hot_path")


def cases(binary):
    """How often each case runs when it is counted, by name, in the bench's order."""
    out = subprocess.run([binary, "--cases"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {name: int(runs) for name, runs in (line.split() for line in out.splitlines())}


def choose(known, wanted):
    """The cases whose name contains one of `wanted`; all where that is empty."""
    for word in wanted:
        if not any(word in name for name in known):
            fail(f"no case has {word} in its name; the bench has {', '.join(known)}")
    return [name for name in known if not wanted or any(word in name for word in wanted)]


def count(binary, case, runs):
    """Instructions of one run of a case."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", f"--toggle-collect={MEASURED}"]
        command += [f"--callgrind-out-file={folder}/out", binary, "--count", case]
        ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if ran.returncode != 0:
            lines = [line for line in ran.stdout.splitlines() if not line.startswith("==")]
            lines += ran.stdout.splitlines()
            fail(f"{case} does not run under valgrind: {lines[0] if lines else ran.returncode}")
        total = re.search(r"^(?:totals|summary): (\d+)", pathlib.Path(folder, "out").read_text(), re.M)
    instructions = int(total[1]) if total else 0
    if instructions == 0:
        fail(f"callgrind counted nothing of {case}: is {MEASURED} in {binary}?")
    return instructions / runs


def count_all(jobs, workers):
    """`count` of each of (binary, case, runs), in order, so many at a time."""
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda job: count(*job), jobs))


def time(binary, case, seconds):
    """Nanoseconds of one run of a case: criterion's median over about that many seconds."""
    with tempfile.TemporaryDirectory() as folder:
        command = [binary, "--bench", "--exact", case, "--noplot", "--sample-size", "20"]
        command += ["--warm-up-time", str(seconds / 3), "--measurement-time", str(seconds)]
        environment = {**os.environ, "CRITERION_HOME": folder}
        ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        estimates = list(pathlib.Path(folder).glob("**/new/estimates.json"))
        if ran.returncode != 0 or len(estimates) != 1:
            last = ran.stdout.strip().splitlines() or [f"exit code {ran.returncode}"]
            fail(f"{case} cannot be timed: {last[-1]}")
        return json.loads(estimates[0].read_text())["median"]["point_estimate"]


def number(value):
    """Four digits or so, with thousands set apart."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"
