//! A case as a capture, for other tools to look at.

use super::case::Case;

/// The packets as a pcap file with link type raw IP, one microsecond apart (the file format is that of
/// draft-ietf-opsawg-pcap).
pub fn write(case: &Case) -> Vec<u8> {
    const MAGIC_MICROSECONDS: u32 = 0xa1b2_c3d4;
    const SNAP_LENGTH: u32 = 0x0004_0000;
    const LINK_TYPE_RAW: u32 = 101;
    let mut out = Vec::new();
    out.extend(MAGIC_MICROSECONDS.to_le_bytes());
    out.extend([2, 0, 4, 0]);
    out.extend([0; 8]);
    out.extend(SNAP_LENGTH.to_le_bytes());
    out.extend(LINK_TYPE_RAW.to_le_bytes());
    for (number, step) in (0u32..).zip(&case.steps) {
        let length = (step.bytes.len() as u32).to_le_bytes();
        out.extend([0; 4]);
        out.extend(number.to_le_bytes());
        out.extend(length);
        out.extend(length);
        out.extend(&step.bytes);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Capture;
    use crate::oracle::case::{Side, Step};

    #[test]
    fn the_capture_reader_reads_it_back() {
        let bytes = vec![0x45; 20];
        let case = Case {
            steps: vec![Step {
                after_s: 0,
                side: Side::A,
                bytes: bytes.clone(),
            }],
            ..Case::default()
        };
        let capture = Capture::read("test", &*write(&case), 1 << 20).expect("readable");
        let frames: Vec<&[u8]> = capture
            .frames()
            .iter()
            .map(|frame| capture.bytes(frame))
            .collect();
        assert_eq!(frames, [&bytes[..]]);
    }
}
