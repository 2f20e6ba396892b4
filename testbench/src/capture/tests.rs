use super::*;
use std::io::Write;

const FRAME: [u8; 20] = [
    0x45, 0, 0, 20, 0, 0, 0, 0, 64, 59, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
];

/// A pcap file of `count` raw IP frames one second apart.
fn pcap(magic: [u8; 4], big_endian: bool, count: u32) -> Vec<u8> {
    let w = |value: u32| {
        if big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    };
    let h = |value: u16| {
        if big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    };
    let mut out = magic.to_vec();
    out.extend(h(2));
    out.extend(h(4));
    for value in [0, 0, 65_535, 101] {
        out.extend(w(value));
    }
    for i in 0..count {
        for value in [1_000 + i, 7, FRAME.len() as u32, 1_500] {
            out.extend(w(value));
        }
        out.extend(FRAME);
    }
    out
}

fn read(data: &[u8]) -> Result<Capture, CaptureError> {
    Capture::read("test", data, 1 << 20)
}

#[test]
fn both_byte_orders_and_resolutions_give_the_same_frames() {
    for (magic, big_endian, fraction_ns) in [
        ([0xd4, 0xc3, 0xb2, 0xa1], false, 7_000),
        ([0xa1, 0xb2, 0xc3, 0xd4], true, 7_000),
        ([0x4d, 0x3c, 0xb2, 0xa1], false, 7),
        ([0xa1, 0xb2, 0x3c, 0x4d], true, 7),
    ] {
        let capture = read(&pcap(magic, big_endian, 3)).expect("a capture");
        assert_eq!(capture.cut_short(), None);
        assert_eq!(capture.frames().len(), 3);
        let last = &capture.frames()[2];
        assert_eq!(last.time_ns, 1_002_000_000_000 + fraction_ns);
        assert_eq!(
            (last.number, last.wire_len, last.link_type),
            (3, 1_500, 101)
        );
        assert_eq!(capture.bytes(last), FRAME);
    }
}

#[test]
fn gzip_is_seen_through_and_its_end_missed() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder
        .write_all(&pcap([0xd4, 0xc3, 0xb2, 0xa1], false, 50))
        .expect("memory");
    let zipped = encoder.finish().expect("memory");
    let capture = read(&zipped).expect("a capture");
    assert_eq!((capture.frames().len(), capture.cut_short()), (50, None));
    let capture = read(&zipped[..zipped.len() - 9]).expect("what is there");
    assert!(
        capture
            .cut_short()
            .is_some_and(|error| error.to_string().contains("gzip"))
    );
}

#[test]
fn what_was_read_before_a_fault_is_kept() {
    let whole = pcap([0xd4, 0xc3, 0xb2, 0xa1], false, 3);
    for cut in 1..36 {
        let capture = read(&whole[..whole.len() - cut]).expect("what is there");
        assert_eq!(capture.frames().len(), 2);
        let error = capture.cut_short().expect("cut short").to_string();
        assert!(error.contains("after frame 2"), "{error}");
    }
    let mut absurd = whole;
    let at = absurd.len() - FRAME.len() - 8;
    absurd[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let capture = read(&absurd).expect("what is there");
    assert!(
        capture
            .cut_short()
            .is_some_and(|error| error.to_string().contains("4294967295"))
    );
}

#[test]
fn what_is_no_capture_is_refused_in_one_line() {
    for (data, expected) in [
        (&b""[..], "empty"),
        (b"ab", "only 2 bytes"),
        (b"hello, this is text\n", "looks like text"),
        (&[0x7f, b'E', b'L', b'F', 0, 1, 2][..], "7f 45 4c 46"),
    ] {
        let error = read(data).expect_err("refused").to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
    let error = Capture::open(Path::new("/"))
        .expect_err("refused")
        .to_string();
    assert!(error.contains("directory"), "{error}");
    let error = Capture::open(Path::new("/nonexistent.pcap"))
        .expect_err("refused")
        .to_string();
    assert!(error.contains("/nonexistent.pcap"), "{error}");
}

#[test]
fn a_capture_beyond_the_limit_is_cut_there() {
    let data = pcap([0xd4, 0xc3, 0xb2, 0xa1], false, 100);
    let capture = Capture::read("test", data.as_slice(), 1_000).expect("what fits");
    assert!(capture.frames().len() < 100 && capture.cut_short().is_some());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(mut data in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400), ng: bool) {
        let magic = if ng { [0x0a, 0x0d, 0x0d, 0x0a] } else { [0xd4, 0xc3, 0xb2, 0xa1] };
        for (byte, known) in data.iter_mut().zip(magic) {
            *byte = known;
        }
        if let Ok(capture) = read(&data) {
            for frame in capture.frames() {
                for link in [0, 1, 101, 113, 276, 9_999] {
                    strip(link, capture.bytes(frame), frame.wire_len);
                    to_ethernet(link, capture.bytes(frame), frame.wire_len, &mut Vec::new());
                }
            }
        }
    }
}

#[test]
fn a_block_shorter_than_its_own_lengths_is_a_fault() {
    // A section header, then a process information block (type 0x80000001) of 8 bytes. Fuzzing found it.
    let mut data = vec![
        0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0, 28, 0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0,
    ];
    data.extend([0xff; 8]);
    data.extend([0, 0, 0, 28]);
    data.extend([0x80, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
    let told = match read(&data) {
        Ok(capture) => capture.cut_short().map(ToString::to_string),
        Err(error) => Some(error.to_string()),
    };
    assert!(told.is_some_and(|told| told.contains("make no sense")));
}
