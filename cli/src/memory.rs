//! How much memory there is to use, and how the allocator uses it.

use std::fs;
use std::path::Path;

/// What a process takes besides the memory that a limit governs: code, stacks, what the allocator cannot return.
const BESIDES: u64 = 48 << 20;

/// Less than this is no limit that anything can be done under.
const LEAST: u64 = 16 << 20;

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

/// One arena for all threads. glibc otherwise gives every thread its own, and each keeps what was freed in it: a
/// fifth of the memory of a run, for no time that can be measured.
pub fn one_arena() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code)]
    // SAFETY: mallopt takes two numbers and changes nothing but the allocator's own settings, under its own lock.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
