//! Threads that give way: for work that goes on beside what somebody waits for.
//!
//! ```text
//!  lines that come in, flushes, queries          the usual share
//!  rounds of detection, compaction, retention    what those leave, and a tenth of a share where they leave nothing
//! ```
//! A flush does not give way: where memory is full, lines wait for it.

use std::thread;

use tokio::runtime::Handle;

/// How nice it is: with 10, Linux gives a tenth of the time that others get where there is not enough for all.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// From here on, this thread gives way. (Elsewhere than on Linux it would be all of the process, so there it does not.)
pub(crate) fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "a thread does not give way");
    }
}

/// Does blocking work on a thread of its own that gives way (one of a pool could not be given back as it was). For a thread of a pool: it panics where
/// there is no other thread to be had.
pub(crate) fn giving_way<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let runtime = Handle::try_current().ok();
    let worked = thread::scope(|scope| {
        let worker = scope.spawn(|| {
            give_way();
            let _inside = runtime.as_ref().map(Handle::enter);
            work()
        });
        worker.join()
    });
    worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn that_thread_gives_way_and_no_other() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        assert_eq!(giving_way(nice), before.max(NICE));
        assert_eq!(nice(), before);
    }

    #[test]
    fn what_was_done_is_answered_and_what_panicked_panics() {
        let text = "text".to_owned();
        assert_eq!(giving_way(|| text.len()), 4);
        assert!(std::panic::catch_unwind(|| giving_way(|| -> () { panic!("as asked") })).is_err());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn it_is_inside_of_the_runtime() {
        let worked = tokio::task::spawn_blocking(|| giving_way(|| Handle::current().block_on(async { 7 })));
        assert_eq!(worked.await.unwrap(), 7);
    }
}
