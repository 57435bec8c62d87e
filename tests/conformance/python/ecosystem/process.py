"""Programs of a part, each a process with a group of its own; what they print is in `log`."""

import atexit
import os
import signal
import subprocess

from suite import tail

RUNNING = []


class Process:
    """A command that is started, killed, and started again."""

    def __init__(self, directory, name, command):
        directory.mkdir(parents=True, exist_ok=True)
        self.name, self.log, self.command, self.process = name, directory / f"{name}.log", command, None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = started(self.command, log, log)
        return self

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def check(self):
        assert self.alive(), f"{self.name} has ended with {self.process.returncode}: see {self.log}\n{tail(self.log, 3000)}"

    def kill(self):
        if self.alive():
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def text(self):
        return self.log.read_text(errors="replace")


def started(command, out, errors=None):
    """A process that leads a group, which ends with the part."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, start_new_session=True)
    RUNNING.append(child)
    return child


def end_all():
    """Kills what a part has left."""
    for child in RUNNING:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    RUNNING.clear()


atexit.register(end_all)
