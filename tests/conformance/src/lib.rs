//! Klamm against real clients and real faults: see `tests/`.
