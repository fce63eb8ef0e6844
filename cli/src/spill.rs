//! Spilled groups in files that have no name: nobody else can open them, and they are gone when the process is,
//! however it ends.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use daysum_core::port::{ReadAt, SpillStore};
use daysum_core::{Error, Result};

use crate::engine::lock;

/// A file that is this long gets no more, so that its space is free again once what it holds has been read.
const FILE_BYTES: u64 = 256 << 20;

/// Spilled groups below a directory.
#[derive(Debug)]
pub struct SpillFiles {
    directory: PathBuf,
    current: Mutex<Option<Arc<SpillFile>>>,
}

impl SpillFiles {
    /// Files in this directory; none is made before something is kept.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, current: Mutex::default() }
    }

    /// What the disk refuses ends the run and not only a day: another run can succeed.
    fn refuse(&self, operation: &str, error: std::io::Error) -> Error {
        let hint = format!(
            "{operation} below {}: free some space, give run.spill_dir another directory, or raise --memory-limit",
            self.directory.display()
        );
        Error::port("spill", hint, true, error)
    }
}

impl SpillStore for SpillFiles {
    fn keep(&self, blocks: &mut dyn Iterator<Item = Result<Vec<u8>>>) -> Result<Arc<dyn ReadAt>> {
        // Blocks are made before the lock is taken: others can read and write meanwhile.
        let mut parts: Vec<(Arc<SpillFile>, u64, Range<u64>)> = Vec::new();
        let mut length = 0;
        for block in blocks {
            let block = block?;
            let mut current = lock(&self.current);
            let file = match current.take_if(|file| lock(&file.file).1 < FILE_BYTES) {
                Some(file) => file,
                None => {
                    let file = tempfile::tempfile_in(&self.directory)
                        .map_err(|error| self.refuse("make a file", error))?;
                    Arc::new(SpillFile { file: Mutex::new((file, 0)) })
                }
            };
            let start = file.append(&block).map_err(|error| self.refuse("write", error))?;
            *current = Some(file.clone());
            let range = length..length + block.len() as u64;
            length = range.end;
            match parts.last_mut() {
                Some((last, from, known))
                    if Arc::ptr_eq(last, &file) && *from + (known.end - known.start) == start =>
                {
                    known.end = range.end;
                }
                _ => parts.push((file, start, range)),
            }
        }
        Ok(Arc::new(Kept { parts }))
    }
}

/// A file, and how long it is.
#[derive(Debug)]
struct SpillFile {
    file: Mutex<(File, u64)>,
}

impl SpillFile {
    /// Where the bytes have come to lie.
    fn append(&self, bytes: &[u8]) -> std::io::Result<u64> {
        let (file, length) = &mut *lock(&self.file);
        file.seek(SeekFrom::Start(*length))?;
        file.write_all(bytes)?;
        let start = *length;
        *length += bytes.len() as u64;
        Ok(start)
    }

    fn read(&self, start: u64, bytes: &mut [u8]) -> std::io::Result<()> {
        let (file, _) = &mut *lock(&self.file);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(bytes)
    }
}

/// Where one sequence of blocks lies: usually in one piece.
#[derive(Debug)]
struct Kept {
    /// A file, where the piece starts in it, and the bytes of the sequence that it is.
    parts: Vec<(Arc<SpillFile>, u64, Range<u64>)>,
}

impl ReadAt for Kept {
    fn read_at(&self, range: Range<u64>) -> Result<Bytes> {
        let length = self.parts.last().map_or(0, |(_, _, piece)| piece.end);
        if range.end > length {
            return Err(Error::port("spill", "read back", false, "the range ends beyond what was kept"));
        }
        let mut bytes = vec![0; (range.end - range.start) as usize];
        for (file, start, piece) in &self.parts {
            let (from, to) = (range.start.max(piece.start), range.end.min(piece.end));
            if from < to {
                let into = &mut bytes[(from - range.start) as usize..(to - range.start) as usize];
                file.read(start + (from - piece.start), into)
                    .map_err(|error| Error::port("spill", "read back", true, error))?;
            }
        }
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_promises_of_its_port() {
        let directory = tempfile::tempdir().expect("a directory");
        daysum_core::port::conformance::spill_store(&SpillFiles::new(directory.path().to_owned()));
    }
}
