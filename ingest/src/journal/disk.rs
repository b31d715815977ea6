//! The few things that a journal asks of a file system, and the one that is there.
//!
//! A test puts a file system in its place that loses what was not synced, and fails when it is told to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write as _};
use std::path::{Path, PathBuf};

/// One folder.
pub(super) trait Disk: Send + std::fmt::Debug {
    /// A file that is written.
    type File: DiskFile;

    /// The names of its files, in no order.
    ///
    /// # Errors
    /// As the file system says.
    fn names(&self) -> io::Result<Vec<String>>;

    /// What a file holds.
    ///
    /// # Errors
    /// As the file system says.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// A new file, only its owner's.
    ///
    /// # Errors
    /// If there is one of that name, or as the file system says.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Puts a file that is not written on stable storage.
    ///
    /// # Errors
    /// As the file system says.
    fn sync_file(&self, name: &str) -> io::Result<()>;

    /// Gives a file another name, for good after the next [`Disk::sync`].
    ///
    /// # Errors
    /// As the file system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file; for good after the next [`Disk::sync`].
    ///
    /// # Errors
    /// As the file system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Puts the names on stable storage: what was created and removed.
    ///
    /// # Errors
    /// As the file system says.
    fn sync(&self) -> io::Result<()>;
}

/// A file that is written from its start to its end.
pub(super) trait DiskFile: Send + std::fmt::Debug {
    /// Appends all of the bytes, or some of them and an error.
    ///
    /// # Errors
    /// As the file system says.
    fn append(&mut self, bytes: &mut [IoSlice<'_>]) -> io::Result<()>;

    /// Puts what was appended on stable storage.
    ///
    /// # Errors
    /// As the file system says. Then nobody knows what of it is there, and asking again would not tell.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file off.
    ///
    /// # Errors
    /// As the file system says.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// A folder of the operating system's.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// The folder, made if need be; only its owner may look into a new one.
    ///
    /// # Errors
    /// As the file system says.
    pub(super) fn open(path: &Path) -> io::Result<Folder> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)?;
        let folder = Folder(path.canonicalize()?);
        if let Some(parent) = folder.0.parent() {
            sync_names(parent)?;
        }
        Ok(folder)
    }

    /// The folder as it is, or is not.
    pub(super) fn existing(path: &Path) -> Folder {
        Folder(path.to_owned())
    }
}

impl Disk for Folder {
    type File = File;

    fn names(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.0)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.0.join(name))
    }

    fn create(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(self.0.join(name))
    }

    fn sync_file(&self, name: &str) -> io::Result<()> {
        File::open(self.0.join(name))?.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        sync_names(&self.0)
    }
}

impl DiskFile for File {
    fn append(&mut self, mut bytes: &mut [IoSlice<'_>]) -> io::Result<()> {
        IoSlice::advance_slices(&mut bytes, 0);
        while !bytes.is_empty() {
            match self.write_vectored(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut bytes, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        io::Seek::seek(self, io::SeekFrom::Start(length)).map(drop)
    }
}

/// Where folders cannot be opened as files (Windows) the file system does it.
fn sync_names(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}
