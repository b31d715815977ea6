//! One after the other, by sequence: who comes too early waits, and who goes away lets the next one pass.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

/// Whose turn it is.
#[derive(Debug, Clone)]
pub(super) struct Turns(Arc<watch::Sender<State>>);

#[derive(Debug)]
struct State {
    /// The sequence whose turn it is.
    next: u64,
    /// Later ones that are done already: they went away.
    done: BTreeSet<u64>,
}

/// A place in the order. Dropping it lets the next one pass.
#[derive(Debug)]
pub(super) struct Turn {
    sequence: u64,
    turns: Turns,
}

impl Turns {
    /// The first turn is the one after `last`.
    pub(super) fn after(last: u64) -> Self {
        Turns(Arc::new(watch::Sender::new(State { next: last + 1, done: BTreeSet::new() })))
    }

    /// Waits until the turn of that sequence is over.
    pub(super) async fn passed(&self, sequence: u64) {
        // the sender is in `self`: it cannot be gone
        let _ = self.0.subscribe().wait_for(|state| state.next > sequence).await;
    }

    /// The turn of that sequence; each is taken once.
    pub(super) fn take(&self, sequence: u64) -> Turn {
        Turn { sequence, turns: self.clone() }
    }
}

impl Turn {
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Waits until it is this one's.
    pub(super) async fn come(&self) {
        // the sender is in this turn: it cannot be gone
        let _ = self.turns.0.subscribe().wait_for(|state| state.next >= self.sequence).await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.0.send_modify(|state| {
            state.done.insert(self.sequence);
            while state.done.remove(&state.next) {
                state.next += 1;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn in_the_order_of_sequences() {
        let turns = Turns::after(4);
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = [9, 7, 5, 8, 6]
            .into_iter()
            .map(|sequence| {
                let (turn, order) = (turns.take(sequence), Arc::clone(&order));
                tokio::spawn(async move {
                    // one of them goes away without having waited
                    if sequence != 7 {
                        turn.come().await;
                    }
                    order.lock().unwrap().push(sequence);
                    drop(turn);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let mut order = order.lock().unwrap().clone();
        order.retain(|sequence| *sequence != 7);
        assert_eq!(order, [5, 6, 8, 9]);
    }
}
