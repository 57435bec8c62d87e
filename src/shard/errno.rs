//! What a system call says that gives 0 where all is well.

use std::io;

/// Its error, if any: that of the last call of this thread.
pub fn check(result: impl Into<libc::c_long>) -> io::Result<()> {
    if result.into() == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
