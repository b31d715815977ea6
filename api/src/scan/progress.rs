//! The progress bar: on a terminal only, over the bytes on disk.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over `bytes`, or a spinner if the size is not known; hidden when stderr is no terminal.
pub(super) fn start(bytes: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = if bytes == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(bytes) };
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
    let template = if bytes == 0 {
        "{spinner} {bytes} read, {bytes_per_sec}"
    } else {
        "{bar:40} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left"
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
