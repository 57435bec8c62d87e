"""Java programs: their jars, the classes compiled here, and their processes."""

import shutil
import signal
import subprocess

from brokers import CONFORMANCE, scratch
from suite import tail

from .process import Process

SOURCES = CONFORMANCE / "java"
STOP_S = 90


def fetch():
    """Brings the jars through Maven, once for each version of pom.xml, and compiles."""
    jars, mark, pom = scratch("ecosystem-java") / "jars", scratch("ecosystem-java") / "pom.xml", SOURCES / "pom.xml"
    if not mark.exists() or mark.read_text() != pom.read_text():
        shutil.rmtree(jars, ignore_errors=True)
        subprocess.run(["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={jars}"],
                       check=True, stdin=subprocess.DEVNULL)
        mark.write_text(pom.read_text())
    subprocess.run(["javac", "-nowarn", "-cp", f"{jars}/*", "-d", jars.parent / "classes", *(SOURCES / "src").glob("*.java")],
                   check=True)


def command(main, *arguments, level="info", memory="256m"):
    """What runs a class."""
    home = scratch("ecosystem-java")
    # The first compiler alone: most of these live for a minute.
    flags = [f"-Xmx{memory}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
             f"-Dorg.slf4j.simpleLogger.defaultLogLevel={level}", "-Dorg.slf4j.simpleLogger.showDateTime=true",
             "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS"]
    return ["java", *flags, "-cp", f"{home / 'classes'}:{home / 'jars'}/*", main, *map(str, arguments)]


class Program(Process):
    """A class that runs in a JVM of its own."""

    def __init__(self, directory, name, main, *arguments, level="info"):
        super().__init__(directory, name, command(main, *arguments, level=level))

    def stop(self, code=143):
        """SIGTERM, at which a JVM ends with 143."""
        self.check()
        self.process.send_signal(signal.SIGTERM)
        self.end(STOP_S, code)

    def end(self, limit_s, code=0):
        """Waits for its end."""
        try:
            ended = self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            # Where it hangs.
            self.process.send_signal(signal.SIGQUIT)
            raise AssertionError(f"{self.name} does not end within {limit_s} s: see {self.log}") from None
        assert ended == code, f"{self.name} ended with {ended}: see {self.log}\n{tail(self.log, 3000)}"


def properties(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    return path
