"""Work that goes on beside a part, in a thread of its own."""

import threading


class Background(threading.Thread):
    """`work()` from the beginning of a `with` to its end, which sets `ended`; where it fails, so does the `with`."""

    def __init__(self):
        super().__init__(daemon=True)
        self.ended, self.failure = threading.Event(), None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.ended.set()
        if self.is_alive():
            self.join()
        if kind is None and self.failure is not None:
            raise self.failure

    def run(self):
        try:
            self.work()
        except (Exception, SystemExit) as failure:
            self.failure = AssertionError(f"{type(self).__name__}: {failure!r}")
