//! The `onhook` program: reads its arguments and hands over to [`onhook::cli`].

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A list of fifty calls allocates a thousand times; the system's allocator took a sixth of the
/// server's time for it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    onhook::cli::main()
}
