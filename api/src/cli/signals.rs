//! Signals that ask a command to end: Ctrl-C, SIGTERM, and SIGHUP, as when its terminal is closed.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit code of a command that was ended by a signal, as shells have it for Ctrl-C.
pub(crate) const ENDED: u8 = 130;

/// Catches the signals from when it is made.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None`: whoever started the program said that it shall not end with its terminal, as `nohup` does.
    hang_up: Option<Signal>,
}

impl Signals {
    /// Catches them.
    ///
    /// # Errors
    /// If the system does not let them be caught.
    pub(crate) fn caught() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: if hang_up_ends() { Some(signal(SignalKind::hangup())?) } else { None },
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        let hang_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hang_up => {}
        }
    }
}

/// Whether SIGHUP would end the program: it is not ignored. Where that cannot be told, it is left alone.
fn hang_up_ends() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 0)
}
