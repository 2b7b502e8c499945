//! The `onhook` program: reads its arguments and hands over to [`onhook::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    onhook::cli::main()
}
