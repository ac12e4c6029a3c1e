//! Memory of the process beside its heap.

use std::ffi::c_void;
use std::io;

use rustix::mm::{Advice, madvise};

/// A part of the address space.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    start: usize,
    length: usize,
}

/// Lets go of the pages of program and libraries that nothing was written to. Those that are used come back from the page
/// cache with their next use; those that only the start of the program needed do not count as its memory any more.
pub fn let_go_of_code() -> io::Result<()> {
    for Mapping { start, length } in unwritten(&std::fs::read_to_string("/proc/self/smaps")?) {
        let start = std::ptr::with_exposed_provenance_mut::<c_void>(start);
        // SAFETY: the mapping is of a file, may not be written, and no page of it differs from the file, so that what is read
        // there afterwards is what was there before. Nothing of this program unmaps code or puts another mapping there.
        unsafe { madvise(start, length, Advice::LinuxDontNeed) }?;
    }
    Ok(())
}

/// The private mappings of files that may not be written and hold no page of the process's own, such as a relocated one:
/// neither in memory nor swapped out.
fn unwritten(smaps: &str) -> Vec<Mapping> {
    let mut found = Vec::new();
    let mut candidate = None;
    for line in smaps.lines() {
        if let Some(header) = header(line) {
            candidate = header;
        } else if is_some(line, "Anonymous:") {
            candidate = None;
        } else if line.starts_with("Swap:") {
            found.extend(candidate.take().filter(|_| !is_some(line, "Swap:")));
        }
    }
    found
}

/// Of the line with this name: does it count anything?
fn is_some(line: &str, name: &str) -> bool {
    let amount = line.strip_prefix(name).map(str::trim_start);
    amount.is_some_and(|amount| !amount.starts_with("0 "))
}

/// Of a line that begins a mapping, the mapping if it may qualify: `start-end rights offset device inode path`.
fn header(line: &str) -> Option<Option<Mapping>> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    let rights = words.next()?;
    let is_of_file = words.nth(3).is_some_and(|path| path.starts_with('/'));
    let may_qualify = is_of_file && rights.starts_with("r-") && rights.ends_with('p');
    Some(may_qualify.then_some(Mapping {
        start,
        length: end.saturating_sub(start),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 6.18 writes it, without the lines that are not looked at.
    const SMAPS: &str = "\
        5500-5600 r--p 00000000 fe:00 1 /usr/bin/wattle\n\
        Rss:                 4 kB\n\
        Anonymous:           0 kB\n\
        Swap:                0 kB\n\
        VmFlags: rd mr mw me sd\n\
        5600-5900 r-xp 00001000 fe:00 1 /usr/bin/wattle\n\
        Anonymous:           0 kB\n\
        Swap:                0 kB\n\
        5900-5a00 r--p 00004000 fe:00 1 /usr/bin/wattle\n\
        Anonymous:           8 kB\n\
        Swap:                0 kB\n\
        5a00-5a80 r--p 00004000 fe:00 3 /usr/lib/libm.so.6\n\
        Anonymous:           0 kB\n\
        Swap:                4 kB\n\
        5a80-5b00 rw-p 00005000 fe:00 1 /usr/bin/wattle\n\
        Anonymous:           0 kB\n\
        Swap:                0 kB\n\
        5b00-5c00 rw-p 00000000 00:00 0 [heap]\n\
        Anonymous:           0 kB\n\
        Swap:                0 kB\n\
        5c00-5d00 r--s 00000000 fe:00 2 /var/shared\n\
        Anonymous:           0 kB\n\
        Swap:                0 kB\n\
        7f00-7f10 r-xp 00000000 00:00 0 [vdso]\n\
        Anonymous:           0 kB\n\
        Swap:                0 kB\n";

    #[test]
    fn only_what_is_as_in_its_file_qualifies() {
        let expected = [(0x5500, 0x100), (0x5600, 0x300)];
        assert_eq!(
            unwritten(SMAPS),
            expected.map(|(start, length)| Mapping { start, length })
        );
    }

    #[test]
    fn a_process_goes_on_after_it_let_go_of_its_code() {
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").expect("proc is there");
            let line = status.lines().find_map(|line| line.strip_prefix("RssFile:"));
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok())
                .expect("a number of kB")
        };
        let before = resident();
        let_go_of_code().expect("the kernel takes it");
        assert!(resident() < before, "{} kB of {before} kB", resident());
    }
}
