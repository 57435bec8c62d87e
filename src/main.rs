//! The `klamm` program: broker and tools in one binary.

/// Buffers of all sizes come and go on every thread; mimalloc keeps each thread's to itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    klamm::cli::run(std::env::args_os())
}
