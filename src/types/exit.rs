//! Exit codes of the process, after `sysexits.h`. The README's table says what users see.

/// Done, or stopped by a signal with everything written back.
pub const OK: i32 = 0;
/// The broker or the data said no, or what was asked for is not there.
pub const FAILED: i32 = 1;
/// The command line is wrong. Not `EX_USAGE`, 64: every shell tool says 2.
pub const USAGE: i32 = 2;
/// The data is damaged (`EX_DATAERR`).
pub const DAMAGED: i32 = 65;
/// The cluster that is to be joined cannot be reached (`EX_UNAVAILABLE`).
pub const UNAVAILABLE: i32 = 69;
/// A bug (`EX_SOFTWARE`).
pub const BUG: i32 = 70;
/// The operating system refused something (`EX_OSERR`).
pub const SYSTEM: i32 = 71;
/// The data directory cannot be made (`EX_CANTCREAT`).
pub const CANNOT_CREATE: i32 = 73;
/// A file, a pipe or a connection failed (`EX_IOERR`).
pub const IO: i32 = 74;
/// Another process of the same name has taken over. Not `EX_TEMPFAIL`, whose number it has: starting again would take
/// over from the other.
pub const FENCED: i32 = 75;
/// A setting is wrong, or something here cannot work (`EX_CONFIG`).
pub const CONFIG: i32 = 78;
