//! The end of the process, without what C libraries have registered for it.
//!
//! Threads may still be at work then: a reader of stdin that waits in the kernel, a query that nobody waits for any more. The allocator's own handler
//! (`mi_process_done`) takes away what they use, and the process would end by a signal instead of with its exit code, once in a while.

use std::io::Write as _;

/// Ends the process with that exit code.
pub(super) fn leave(code: u8) -> ! {
    // whoever does not read on has gone
    let _ = std::io::stdout().flush();
    signal_hook::low_level::exit(i32::from(code))
}
