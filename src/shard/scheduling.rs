//! What a thread is to the kernel's scheduler, where others want its processor. None of it needs a privilege.

use super::errno::check;
use std::io;

/// How long a shard asks to run at a time, ns: the least that the kernel takes.
const SLICE: u64 = 100_000;

/// Asks for this thread, and for the kernel's workers that do I/O for it, to run shortly and soon: of those that want
/// a processor, the kernel (Linux 6.12 and later, EEVDF) runs the one whose slice would end first, and one that wakes
/// with a shorter slice than the one that runs does not wait until that has had its own (2.8 ms on two
/// processors). Nobody gets more or less of the processor by it. Figures: `src/shard/DECISIONS.md`.
///
/// Older kernels take the call and do nothing; a thread that was given another policy (`chrt`) is left as it is.
pub fn run_soon() {
    if let Err(e) = ask_for(SLICE) {
        tracing::debug!("no short slice: {e}");
    }
}

/// Runs this thread only where no other wants its processor, and takes it away at once when one does
/// (`SCHED_IDLE`, sched(7)). A container that forbids the call leaves the thread like the others.
pub fn run_when_idle() {
    let any = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 is this thread, and the parameter outlives the call.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const any) };
    if let Err(e) = check(result) {
        tracing::debug!("no idle scheduling: {e}");
    }
}

/// `sched_setattr(2)`: what a slice is for a thread that shares its processor is `sched_runtime` there.
fn ask_for(slice_ns: u64) -> io::Result<()> {
    let mut attributes = attributes()?;
    if attributes.sched_policy != libc::SCHED_OTHER as u32 {
        return Ok(());
    }
    attributes.sched_runtime = slice_ns;
    // SAFETY: 0 is this thread; the attributes outlive the call, and say how large they are.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) })
}

/// Those of this thread.
fn attributes() -> io::Result<libc::sched_attr> {
    // SAFETY: it is made of numbers.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::sched_attr>();
    // SAFETY: 0 is this thread; the kernel writes no more than `size` bytes.
    check(unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) })?;
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_and_niceness_stay() {
        let before = attributes().unwrap();
        ask_for(SLICE).unwrap();
        let after = attributes().unwrap();
        let of = |it: &libc::sched_attr| (it.sched_policy, it.sched_nice, it.sched_priority);
        assert_eq!(of(&after), of(&before));
        assert!([before.sched_runtime, SLICE].contains(&after.sched_runtime));
        std::thread::spawn(|| {
            run_when_idle();
            let before = attributes().unwrap();
            ask_for(SLICE).unwrap();
            assert_eq!(attributes().unwrap().sched_policy, before.sched_policy);
        })
        .join()
        .unwrap();
    }
}
