//! How much memory there is to use, and how the allocator uses it.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

/// What a process takes besides the memory that a limit governs: code, stacks, what the allocator cannot return.
const BESIDES: u64 = 48 << 20;

/// The smallest limit that a run can work within.
pub const LEAST: u64 = 16 << 20;

/// The limit that was asked for, lowered to what the process's control group grants.
pub fn fitted(asked: u64) -> u64 {
    let told = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    match granted(&told, Path::new("/sys/fs/cgroup")) {
        Some(granted) => asked.min(granted.saturating_sub(BESIDES).max(LEAST)),
        None => asked,
    }
}

/// The smallest limit of the group and those around it, in version 2's files and version 1's. A container often sees
/// its own group as the root, whatever `/proc` says.
fn granted(told: &str, root: &Path) -> Option<u64> {
    let limits = told.lines().flat_map(|line| {
        let [_, controllers, group] = line.splitn(3, ':').collect::<Vec<_>>()[..] else { return Vec::new() };
        let (base, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            "memory" => (root.join("memory"), "memory.limit_in_bytes"),
            _ => return Vec::new(),
        };
        let group = base.join(group.trim_start_matches('/'));
        let around = group.ancestors().take_while(|path| path.starts_with(&base));
        around.filter_map(|path| fs::read_to_string(path.join(file)).ok()?.trim().parse().ok()).collect()
    });
    limits.min()
}

/// How a limit is divided. The parts add up to it:
///
/// ```text
/// 1/16  in flight   bytes that were fetched and are not decoded yet, of all threads together
/// 1/8   batches     decoded and not folded yet, a part for each thread; a third of what is folded
/// 7/16  folding     groups of row groups in work, and tables that save work: a part for each thread
/// 1/8   open        groups of days between their row groups
/// 1/4   finishing   days that are finished or wait to be written: half for the blocks of runs that are merged, half for
///                   groups under their new keys
/// ```
///
/// What no limit makes smaller comes first, and the parts are of what is left: footers, which are held until their row
/// groups are folded, and the row group that each writer's encoder fills. A single page or value that is larger than its
/// part is held all the same, once for each step that it goes through, but no page that is larger than the limit.
#[derive(Debug, Clone, Copy)]
pub struct Shares {
    /// Of all threads.
    pub in_flight: u64,
    /// Of all threads.
    pub folding: usize,
    /// Of all days.
    pub open: usize,
    /// Of all days.
    pub finishing: usize,
    /// Of the pages that a thread decompresses, one of each column: larger ones are refused. Not a part of the limit, but
    /// as much as all of it.
    pub page: u64,
}

/// The encoder's row group, and what was encoded and is not on its way yet.
const ENCODER: u64 = 8 << 20;

/// The groups of a day of ten thousand pods, and what is remembered of their labels. With less, a thread spills the same
/// groups with every hour of the data.
const LEAST_FOLDING: usize = 13 << 20;

/// Under the smallest limits, too, pages of ordinary writers are read.
const LEAST_PAGE: u64 = 64 << 20;

impl Shares {
    /// The parts of a limit beside footers of this size and so many writers: of half the limit at the least.
    pub fn of(limit: u64, footers: usize, writers: usize) -> Self {
        let left = limit.saturating_sub(ENCODER * writers as u64 + footers as u64).max(limit / 2);
        let bytes = usize::try_from(left).unwrap_or(usize::MAX);
        Self {
            in_flight: left / 16,
            folding: bytes / 16 * 7,
            open: bytes / 8,
            finishing: bytes / 4,
            page: limit.max(LEAST_PAGE),
        }
    }

    /// How many threads fold without getting into each other's way: fewer of them are faster than more that spill.
    pub fn threads(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.folding / LEAST_FOLDING).unwrap_or(NonZeroUsize::MIN)
    }
}

/// One arena for all threads. glibc otherwise gives every thread its own, and each keeps what was freed in it: a
/// fifth of the memory of a run, for three hundredths of the time.
pub fn one_arena() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code)]
    // SAFETY: mallopt takes two numbers and changes nothing but the allocator's own settings, under its own lock.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Below this limit, keeping within it is worth an eighth of the time.
const SCARCE: u64 = 128 << 20;

/// Has glibc keep what is freed, so that the system need not clear the same pages again and again: a twentieth of the
/// time. Under a small limit large tables go back at once.
pub fn keep_within(limit: u64) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // From where on an allocation is a mapping of its own, and how much may lie unused above the others.
        let (mapped, unused) = if limit < SCARCE { (1 << 20, 4 << 20) } else { (32 << 20, 128 << 20) };
        #[allow(unsafe_code)]
        // SAFETY: as above.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, mapped);
            libc::mallopt(libc::M_TRIM_THRESHOLD, unused);
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = limit;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_threads_fold_where_memory_is_scarce() {
        let threads = |limit: u64| Shares::of(limit << 20, 0, 1).threads().get();
        assert_eq!([0, 16, 64, 128, 256].map(threads), [1, 1, 1, 4, 8]);
    }

    #[test]
    fn the_smallest_limit_around_a_group_counts() {
        let root = tempfile::tempdir().expect("a directory");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a file lies in a directory")).expect("a directory");
            fs::write(path, text).expect("a file");
        };
        assert_eq!(granted("0::/pod/app\n", root.path()), None);
        write("pod/app/memory.max", "max\n");
        assert_eq!(granted("0::/pod/app\n", root.path()), None);
        write("pod/memory.max", "300000000\n");
        write("memory.max", "400000000\n");
        assert_eq!(granted("0::/pod/app\n", root.path()), Some(300_000_000));
        assert_eq!(
            granted("0::/elsewhere\n", root.path()),
            Some(400_000_000),
            "a container sees itself as the root"
        );
        write("memory/pod/memory.limit_in_bytes", "200000000\n");
        assert_eq!(granted("3:memory:/pod\n1:cpu:/pod\n", root.path()), Some(200_000_000));
        assert_eq!(granted("nonsense", root.path()), None);
    }
}
