"""What the parts share: their list, and what each is given."""

import collections
import itertools
import random

from .cluster import Killer

PARTS = {}


class Context:
    """What a part works on: a cluster, a folder of its own, for how many seconds it repeats what is repeated,
    and whether brokers are killed meanwhile."""

    def __init__(self, make, directory, seconds, killing):
        self.make, self.directory, self.seconds, self.killing = make, directory, seconds, killing
        self.clusters = []
        self.cluster = self.start_cluster("cluster")

    def start_cluster(self, name):
        """One more cluster of the kind that is under test."""
        self.clusters.append(self.make(name))
        self.clusters[-1].start()
        return self.clusters[-1]

    def killer(self, topics, always=False):
        return Killer(self.cluster, topics, running=self.killing or always)

    def stop(self):
        for cluster in self.clusters:
            cluster.stop()


def part(name):
    def add(function):
        PARTS[name] = function
        return function
    return add


def numbered(keys, seed=1):
    """Endless pairs of a key, drawn by lot, and how many of that key came before."""
    draw, counts = random.Random(seed), collections.Counter()
    for _ in itertools.count():
        key = f"k{draw.randrange(keys)}"
        yield key, str(counts[key])
        counts[key] += 1


def each_once_in_order(got, sent, what):
    """`got`: values in their order, `sent`: those that had to come, each of them once."""
    if got == sent:
        return
    at = next((i for i, (a, b) in enumerate(zip(got, sent)) if a != b), min(len(got), len(sent)))
    missing, twice = set(sent) - set(got), [v for v, n in collections.Counter(got).items() if n > 1]
    raise AssertionError(f"{what}: {len(got)} values instead of {len(sent)}, different from the {at}th on: {got[at:at + 5]} "
                         f"instead of {sent[at:at + 5]}; {len(missing)} missing, {len(twice)} more than once")
