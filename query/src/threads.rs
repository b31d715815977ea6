//! Threads that give way: for work that goes on beside what somebody waits for.
//!
//! ```text
//!  lines that come in, flushes, queries          the usual share
//!  rounds of detection, compaction, retention    what those leave, and a tenth of a share where they leave nothing
//! ```
//! A flush does not give way: where memory is full, lines wait for it. A round of detection does although `GET /api/v1/findings` waits for one: who asks
//! for findings has time, who brings lines has not.

use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle, Runtime};

/// How nice it is: with 10, Linux gives a tenth of the time that others get where there is not enough for all.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// From here on, this thread gives way. (Elsewhere than on Linux it would be all of the process, so there it does not.)
pub(crate) fn give_way() {
    #[cfg(target_os = "linux")]
    {
        // one that gives way more than that, with all of its process, goes on doing so
        let now = rustix::process::getpriority_process(None).unwrap_or(0);
        if let Err(error) = rustix::process::setpriority_process(None, now.max(NICE)) {
            tracing::debug!(%error, "a thread does not give way");
        }
    }
}

/// Does work that computes and waits by turns on a thread of its own that gives way (one of a pool could not be given back as it was). The runtime that it
/// gets runs on that thread, too: what is spawned on it gives way likewise. It is inside of the caller's runtime otherwise.
///
/// # Errors
/// If no thread or runtime is to be had, or the work panics.
pub(crate) async fn giving_way<T: Send + 'static>(work: impl FnOnce(&Runtime) -> T + Send + 'static) -> io::Result<T> {
    let callers = Handle::current();
    let on_its_own = move || {
        give_way();
        let own = Builder::new_current_thread().enable_all().build()?;
        let _inside = callers.enter();
        Ok(work(&own))
    };
    // a thread of the pool waits for it, so that the runtime knows of it when it ends
    let waiting = move || {
        let worker = thread::Builder::new().name("tidy".to_owned()).spawn(on_its_own)?;
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    };
    tokio::task::spawn_blocking(waiting).await?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn that_thread_gives_way_with_all_that_is_spawned_there_and_no_other() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let inside =
            giving_way(move |own| (nice(), own.block_on(async move { tokio::spawn(async move { nice() }).await })));
        let (there, spawned) = inside.await.unwrap();
        assert_eq!((there, spawned.unwrap()), (before.max(NICE), before.max(NICE)));
        assert_eq!(nice(), before);
    }

    #[tokio::test]
    async fn what_was_done_is_answered_and_what_panicked_is_an_error() {
        assert_eq!(giving_way(|_| 4).await.unwrap(), 4);
        assert!(giving_way(|_| -> () { panic!("as asked") }).await.is_err());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn it_is_inside_of_the_runtime() {
        assert_eq!(giving_way(|_| Handle::current().block_on(async { 7 })).await.unwrap(), 7);
    }
}
