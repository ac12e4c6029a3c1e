//! Lists of ports and ranges of ports in one text.

/// Most ranges of one list.
const MAX_RANGES: usize = 256;

/// Ports as ranges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortRanges(Vec<(u16, u16)>);

impl PortRanges {
    /// Reads `25,587,1000-2000`; none when a part is neither a port nor a range. An empty text is no port.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self::default());
        }
        let ranges: Option<Vec<_>> = text.split(',').map(|part| range(part.trim())).collect();
        ranges.filter(|ranges| ranges.len() <= MAX_RANGES).map(Self)
    }

    /// Whether the port is in one of the ranges.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        self.0
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&port))
    }

    /// The ranges, both ends included, each from at least 1.
    #[must_use]
    pub fn ranges(&self) -> &[(u16, u16)] {
        &self.0
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first > 0 && first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ports_and_ranges_are_read_with_their_ends() {
        let ports = PortRanges::new("25, 1000-1002").unwrap();
        let inside = [25, 1000, 1001, 1002];
        assert!(inside.iter().all(|port| ports.contains(*port)));
        assert!(![24, 26, 999, 1003].iter().any(|port| ports.contains(*port)));
        assert_eq!(PortRanges::new(""), Some(PortRanges::default()));
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for text in ["0", "65536", "a", "2-1", "1,,2", "1-", "-1", "1-2-3"] {
            assert_eq!(PortRanges::new(text), None, "{text}");
        }
    }
}
