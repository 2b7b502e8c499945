//! The one place where commands print.
//!
//! A server logs by `tracing`; only what a person at a terminal, or a pipe behind a command, asked
//! for goes through here. A reader that has gone away (`onhook openapi | head -1`) is no fault.

use std::io::Write;

/// Writes a line to standard output.
pub fn say(text: &str) {
    write_line(std::io::stdout().lock(), text);
}

/// Writes a line to standard error.
pub fn complain(text: &str) {
    write_line(std::io::stderr().lock(), text);
}

/// Nothing can be told to anybody once the terminal itself fails, so the outcome is dropped.
fn write_line(mut to: impl Write, text: &str) {
    writeln!(to, "{text}").and_then(|()| to.flush()).ok();
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    struct Gone(usize);

    impl Write for &mut Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            self.0 += 1;
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_text_becomes_one_line() {
        let mut written = Vec::new();
        write_line(&mut written, "listening");
        assert_eq!(written, b"listening\n");
    }

    #[test]
    fn a_reader_that_went_away_is_no_fault() {
        let mut gone = Gone(0);
        write_line(&mut gone, "listening");
        assert_eq!(gone.0, 1, "the line was tried once");
    }
}
