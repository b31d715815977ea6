//! What was derived from a text before: the same pods, policies and services stand on line after line.
//!
//! Whatever is remembered is a pure function of the text (and of the options, which do not change), so remembering cannot change a row. Bounded:
//! a caller can invent texts, so a full memory starts anew.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use crate::rbac::Metadata;

/// Texts of one kind that are remembered.
const TEXTS: usize = 4096;
/// Longest text that is remembered, bytes.
const LENGTH: usize = 4096;

type ByText<T> = HashMap<Box<str>, T>;

/// What was derived before, by text.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    metadata: RefCell<ByText<Arc<Metadata>>>,
    /// By pod: its service account, which hardly ever changes, and whether the two are a gateway's.
    gateways: RefCell<ByText<(Box<str>, bool)>>,
}

impl Memo {
    /// RBAC metadata, by its JSON text.
    pub(crate) fn metadata(&self, json: &str) -> Arc<Metadata> {
        let mut known = self.metadata.borrow_mut();
        if let Some(metadata) = known.get(json) {
            return Arc::clone(metadata);
        }
        let metadata = Arc::new(Metadata::parse(json));
        if json.len() <= LENGTH {
            if known.len() >= TEXTS {
                known.clear();
            }
            known.insert(json.into(), Arc::clone(&metadata));
        }
        metadata
    }

    /// Whether a pod of that name and service account is a gateway; `matches` finds out.
    pub(crate) fn is_gateway(&self, pod: &str, account: &str, matches: impl FnOnce() -> bool) -> bool {
        let mut known = self.gateways.borrow_mut();
        if let Some((_, gateway)) = known.get(pod).filter(|(of, _)| **of == *account) {
            return *gateway;
        }
        let gateway = matches();
        if pod.len() + account.len() <= LENGTH {
            if known.len() >= TEXTS {
                known.clear();
            }
            known.insert(pod.into(), (account.into(), gateway));
        }
        gateway
    }
}
