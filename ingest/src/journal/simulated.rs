//! A file system that keeps what was synced, and of the rest whatever a seed says: for tests.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex};

use super::disk::{Disk, DiskFile};

/// A folder; its clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Simulated(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<u64, Content>,
    /// As programs see them.
    names: BTreeMap<String, u64>,
    /// As they are on stable storage.
    durable_names: BTreeMap<String, u64>,
    next: u64,
    faults: Faults,
    calls: u64,
}

#[derive(Debug, Default, Clone)]
struct Content {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// A sync failed: what was not synced before never will be, though the next sync says that it was.
    poisoned: bool,
}

/// What fails.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Faults {
    /// Bytes that fit on the disk.
    pub(super) capacity: Option<usize>,
    /// Every n-th sync of a file or folder fails, and loses what it was to keep.
    pub(super) sync_every: Option<u64>,
    /// Truncating fails.
    pub(super) truncate: bool,
}

#[derive(Debug)]
pub(super) struct SimulatedFile {
    disk: Simulated,
    id: u64,
}

impl Simulated {
    pub(super) fn set(&self, faults: Faults) {
        self.0.lock().unwrap().faults = faults;
    }

    /// Power is lost: of each file what was synced is left, and of what was written since a start of it, garbage in it perhaps; names that were
    /// not synced are there or not.
    pub(super) fn lose_power(&self, seed: u64) -> Simulated {
        let mut random = seed;
        let mut next = move |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % below.max(1)
        };
        let state = self.0.lock().unwrap();
        let mut names = state.durable_names.clone();
        for (name, id) in &state.names {
            if next(2) == 0 {
                names.insert(name.clone(), *id);
            }
        }
        names.retain(|name, _| state.names.contains_key(name) || next(2) == 0);
        let mut files = BTreeMap::new();
        for id in names.values() {
            let content = &state.files[id];
            let common = content.bytes.starts_with(&content.durable);
            let mut bytes = if common || next(2) == 0 { content.durable.clone() } else { content.bytes.clone() };
            if common {
                let rest = &content.bytes[content.durable.len()..];
                let kept = next(rest.len() + 1);
                bytes.extend_from_slice(&rest[..kept]);
                // a block whose size reached the disk, and whose content did not
                if kept > 0 && next(3) == 0 {
                    let from = bytes.len() - next(kept);
                    bytes[from.min(content.bytes.len() - 1)..].fill(0);
                }
            }
            files.insert(*id, Content { durable: bytes.clone(), bytes, poisoned: false });
        }
        let next = state.next;
        Simulated(Arc::new(Mutex::new(State { files, durable_names: names.clone(), names, next, ..State::default() })))
    }

    pub(super) fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.0.lock().unwrap();
        let id = state.names[name];
        let content = state.files.get_mut(&id).unwrap();
        change(&mut content.bytes);
        content.durable = content.bytes.clone();
    }
}

impl Disk for Simulated {
    type File = SimulatedFile;

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().unwrap().names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let state = self.0.lock().unwrap();
        let id = state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(state.files[id].bytes.clone())
    }

    fn create(&self, name: &str) -> io::Result<SimulatedFile> {
        let mut state = self.0.lock().unwrap();
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = state.next;
        state.next += 1;
        state.files.insert(id, Content::default());
        state.names.insert(name.to_owned(), id);
        Ok(SimulatedFile { disk: self.clone(), id })
    }

    fn sync_file(&self, name: &str) -> io::Result<()> {
        let id = *self.0.lock().unwrap().names.get(name).ok_or(io::ErrorKind::NotFound)?;
        SimulatedFile { disk: self.clone(), id }.sync()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let id = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), id);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.lock().unwrap().names.remove(name).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.sync_fails()?;
        state.durable_names = state.names.clone();
        Ok(())
    }
}

impl State {
    fn sync_fails(&mut self) -> io::Result<()> {
        self.calls += 1;
        match self.faults.sync_every {
            Some(every) if self.calls.is_multiple_of(every) => Err(io::Error::other("EIO")),
            _ => Ok(()),
        }
    }
}

impl DiskFile for SimulatedFile {
    fn append(&mut self, bytes: &mut [IoSlice<'_>]) -> io::Result<()> {
        let mut state = self.disk.0.lock().unwrap();
        let used: usize = state.files.values().map(|content| content.bytes.len()).sum();
        let mut room = state.faults.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(used));
        let content = state.files.get_mut(&self.id).unwrap();
        for slice in bytes {
            content.bytes.extend_from_slice(&slice[..slice.len().min(room)]);
            if slice.len() > room {
                return Err(io::ErrorKind::StorageFull.into());
            }
            room -= slice.len();
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.0.lock().unwrap();
        let failed = state.sync_fails();
        let content = state.files.get_mut(&self.id).unwrap();
        content.poisoned |= failed.is_err();
        if !content.poisoned {
            content.durable = content.bytes.clone();
        }
        failed
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.disk.0.lock().unwrap();
        if state.faults.truncate {
            return Err(io::Error::other("EIO"));
        }
        state.files.get_mut(&self.id).unwrap().bytes.truncate(usize::try_from(length).unwrap());
        Ok(())
    }
}
