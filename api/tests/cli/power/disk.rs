//! A disk that forgets what nobody synced, rebuilt from the calls of a process.
//!
//! Bytes are on stable storage when their file was synced, a name when its folder was. What was not may be there all the same, in part: see [`Cut`].

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::trace::Call;

/// What the power cut leaves of what was not synced.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    /// Nothing.
    Nothing,
    /// Every name, and of the bytes none: a file is as long as it was, and full of zeros.
    Names,
    /// Of each folder and each file some of the first changes, the last one torn.
    Some(u64),
}

/// A file or a folder.
#[derive(Debug, Default)]
struct Node {
    is_folder: bool,
    now: Vec<u8>,
    synced: Vec<u8>,
    /// Since it was synced.
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate { length: usize },
}

/// Names that changed at once: what they are now. `None`: gone.
#[derive(Clone, Debug)]
struct Renaming {
    folders: Vec<PathBuf>,
    names: Vec<(PathBuf, Option<usize>)>,
}

#[derive(Debug, Default)]
pub(super) struct Disk {
    nodes: Vec<Node>,
    names: BTreeMap<PathBuf, usize>,
    synced: BTreeMap<PathBuf, usize>,
    renamings: Vec<Renaming>,
    /// Open files: which, and where in them.
    open: HashMap<u32, (usize, usize, bool)>,
}

impl Disk {
    /// A disk with that folder on it, whose name is on stable storage.
    pub(super) fn with(folder: &Path) -> Self {
        let mut disk = Self::default();
        let node = disk.node(true);
        disk.names.insert(folder.to_owned(), node);
        disk.synced = disk.names.clone();
        disk
    }

    /// Another process begins.
    pub(super) fn restart(&mut self) {
        self.open.clear();
    }

    /// Whether the call changed what a power cut leaves.
    pub(super) fn apply(&mut self, call: Call) -> bool {
        match call {
            Call::Open { fd, path, creates, truncates, appends } => {
                let known = self.names.get(&path).copied();
                // of what was there before, as the configuration, nothing is changed
                if known.is_none() && !creates {
                    return false;
                }
                let node = known.unwrap_or_else(|| {
                    let node = self.node(false);
                    self.rename(vec![(path, Some(node))]);
                    node
                });
                if truncates && known.is_some() {
                    self.change(node, Change::Truncate { length: 0 });
                }
                self.open.insert(fd, (node, 0, appends));
                known.is_none() || truncates
            }
            Call::Close { fd } => {
                self.open.remove(&fd);
                false
            }
            Call::Seek { fd, to } => {
                if let Some((_, place, _)) = self.open.get_mut(&fd) {
                    *place = usize::try_from(to).unwrap();
                }
                false
            }
            Call::Write { fd, at, bytes } => {
                let (node, place, appends) = self.open.get_mut(&fd).unwrap();
                let (node, end) = (*node, self.nodes[*node].now.len());
                let here = match at {
                    Some(at) => usize::try_from(at).unwrap(),
                    None => {
                        let here = if *appends { end } else { *place };
                        *place = here + bytes.len();
                        here
                    }
                };
                self.change(node, Change::Write { at: here, bytes });
                true
            }
            Call::Truncate { fd, length } => match self.open.get(&fd) {
                Some((node, ..)) => {
                    self.change(*node, Change::Truncate { length: usize::try_from(length).unwrap() });
                    true
                }
                None => false,
            },
            Call::Sync { fd } => {
                let Some((node, ..)) = self.open.get(&fd).copied() else { return false };
                self.sync(node);
                true
            }
            Call::Rename { from, to } => {
                let node = self.names[&from];
                self.rename(vec![(from, None), (to, Some(node))]);
                true
            }
            Call::Link { from, to } => {
                let node = self.names[&from];
                self.rename(vec![(to, Some(node))]);
                true
            }
            Call::Remove { path } => {
                self.rename(vec![(path, None)]);
                true
            }
            Call::MakeFolder { path } => {
                let node = self.node(true);
                self.rename(vec![(path, Some(node))]);
                true
            }
            Call::Acknowledged => false,
        }
    }

    fn node(&mut self, is_folder: bool) -> usize {
        self.nodes.push(Node { is_folder, ..Node::default() });
        self.nodes.len() - 1
    }

    fn change(&mut self, node: usize, change: Change) {
        let node = &mut self.nodes[node];
        change.apply(&mut node.now);
        node.changes.push(change);
    }

    fn rename(&mut self, names: Vec<(PathBuf, Option<usize>)>) {
        let folders = names.iter().map(|(path, _)| path.parent().unwrap().to_owned()).collect();
        let renaming = Renaming { folders, names };
        renaming.apply(&mut self.names);
        self.renamings.push(renaming);
    }

    fn sync(&mut self, node: usize) {
        if !self.nodes[node].is_folder {
            let node = &mut self.nodes[node];
            node.synced.clone_from(&node.now);
            node.changes.clear();
            return;
        }
        let folder = self.names.iter().find(|(_, of)| **of == node).map(|(path, _)| path.clone());
        let Some(folder) = folder else { return };
        let (done, left) = std::mem::take(&mut self.renamings)
            .into_iter()
            .partition::<Vec<_>, _>(|renaming| renaming.folders.contains(&folder));
        done.iter().for_each(|renaming| renaming.apply(&mut self.synced));
        self.renamings = left;
    }

    /// What is there after the power was cut: paths with the files' bytes, `None` for folders.
    pub(super) fn after(&self, cut: Cut) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut random = match cut {
            Cut::Some(seed) => Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            Cut::Nothing | Cut::Names => Random(1),
        };
        let names = match cut {
            Cut::Nothing => self.synced.clone(),
            Cut::Names => self.names.clone(),
            Cut::Some(_) => {
                let mut names = self.synced.clone();
                let mut broken: Vec<&PathBuf> = Vec::new();
                for renaming in &self.renamings {
                    // each folder has its own order
                    if renaming.folders.iter().any(|folder| broken.contains(&folder)) || random.below(4) == 0 {
                        broken.extend(&renaming.folders);
                    } else {
                        renaming.apply(&mut names);
                    }
                }
                names
            }
        };
        let mut bytes: HashMap<usize, Option<Vec<u8>>> = HashMap::new();
        let mut left = BTreeMap::new();
        for (path, node) in &names {
            // nobody finds a file whose folder has no name; the outermost folder is always there
            let is_there = path.parent().is_some_and(|parent| left.contains_key(parent)) || left.is_empty();
            if is_there {
                let content = bytes.entry(*node).or_insert_with(|| self.nodes[*node].after(cut, &mut random));
                left.insert(path.clone(), content.clone());
            }
        }
        left
    }
}

impl Node {
    fn after(&self, cut: Cut, random: &mut Random) -> Option<Vec<u8>> {
        if self.is_folder {
            return None;
        }
        let mut bytes = self.synced.clone();
        match cut {
            Cut::Nothing => {}
            Cut::Names => bytes.resize(self.now.len(), 0),
            Cut::Some(_) => {
                let whole = random.below(self.changes.len() + 1);
                self.changes.iter().take(whole).for_each(|change| change.apply(&mut bytes));
                if let Some(Change::Write { at, bytes: torn }) = self.changes.get(whole) {
                    let torn = torn[..random.below(torn.len() + 1)].to_vec();
                    Change::Write { at: *at, bytes: torn }.apply(&mut bytes);
                }
            }
        }
        Some(bytes)
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write { at, bytes } => {
                let end = at + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*at..end].copy_from_slice(bytes);
            }
            Change::Truncate { length } => content.resize(*length, 0),
        }
    }
}

impl Renaming {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        for (path, node) in &self.names {
            match node {
                Some(node) => drop(names.insert(path.clone(), *node)),
                None => drop(names.remove(path)),
            }
        }
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % most
    }
}
