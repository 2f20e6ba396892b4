//! Captures: pcap and pcapng, plain or gzip, any byte order, micro- or nanoseconds, several interfaces.
//!
//! The whole file is read into memory once (bounded); frames point into it. What is read before a fault is kept, and
//! [`Capture::cut_short`] says what was wrong and where.

mod link;
mod pcap;
mod pcapng;

pub use link::{LinkLayer, strip, to_ethernet};

use flate2::read::MultiGzDecoder;
use std::io::Read;
use std::path::Path;

/// Most bytes read from a capture after decompression unless told otherwise.
pub const DEFAULT_LIMIT_BYTES: u64 = 4 << 30;

/// A frame of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapturedFrame {
    /// 1-based, in file order.
    pub number: u64,
    /// Nanoseconds since 1970, as the file has it; 0 where the file has none.
    pub time_ns: u64,
    /// Length on the wire, bytes; at least the captured length.
    pub wire_len: u32,
    /// pcap link type of its interface.
    pub link_type: i32,
    /// Interface, from 0.
    pub interface: u32,
    start: usize,
    end: usize,
}

/// Why a capture cannot be read, or was cut short.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// The file cannot be opened or read.
    #[error("{name}: {message}")]
    Io {
        /// Which file.
        name: String,
        /// What the system says, and what to do.
        message: String,
    },
    /// The file is no capture.
    #[error("{name}: not a capture: {message}")]
    NotACapture {
        /// Which file.
        name: String,
        /// What it looks like.
        message: String,
    },
    /// The file is damaged from here on.
    #[error("{name}: damaged at byte {offset}, after frame {frames}: {message}")]
    Damaged {
        /// Which file.
        name: String,
        /// Where, in the decompressed file.
        offset: usize,
        /// Frames read before.
        frames: usize,
        /// What is wrong.
        message: String,
    },
}

/// A capture in memory.
#[derive(Debug, Clone)]
pub struct Capture {
    name: String,
    data: Vec<u8>,
    frames: Vec<CapturedFrame>,
    cut_short: Option<CaptureError>,
}

impl Capture {
    /// Reads a file, up to [`DEFAULT_LIMIT_BYTES`].
    ///
    /// # Errors
    /// Nothing of it can be read as a capture.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let name = path.display().to_string();
        let io = |message: String| CaptureError::Io {
            name: name.clone(),
            message,
        };
        let metadata = std::fs::metadata(path).map_err(|error| io(error.to_string()))?;
        if metadata.is_dir() {
            return Err(io("is a directory, not a capture file".to_owned()));
        }
        let file = std::fs::File::open(path).map_err(|error| io(error.to_string()))?;
        Self::read(&name, file, DEFAULT_LIMIT_BYTES)
    }

    /// Reads from any source, up to `limit_bytes` after decompression.
    ///
    /// # Errors
    /// Nothing of it can be read as a capture.
    pub fn read(name: &str, source: impl Read, limit_bytes: u64) -> Result<Self, CaptureError> {
        let io = |error: std::io::Error| CaptureError::Io {
            name: name.to_owned(),
            message: error.to_string(),
        };
        let mut data = Vec::new();
        let mut source = source.take(limit_bytes + 1);
        source.read_to_end(&mut data).map_err(io)?;
        let mut trouble = None;
        if data.starts_with(&[0x1f, 0x8b]) {
            let mut plain = Vec::new();
            let mut decoder = MultiGzDecoder::new(data.as_slice()).take(limit_bytes + 1);
            if let Err(error) = decoder.read_to_end(&mut plain) {
                trouble = Some(format!("the gzip stream ends badly: {error}"));
            }
            data = plain;
        }
        if data.len() as u64 > limit_bytes {
            data.truncate(limit_bytes as usize);
            trouble = Some(format!(
                "longer than {limit_bytes} bytes: split it, for example with editcap -c"
            ));
        }
        Self::parse(name, data, trouble)
    }

    fn parse(name: &str, data: Vec<u8>, trouble: Option<String>) -> Result<Self, CaptureError> {
        let mut frames = Vec::new();
        let result = match data.first_chunk::<4>() {
            Some([0x0a, 0x0d, 0x0d, 0x0a]) => pcapng::parse(&data, &mut frames),
            Some(magic) if pcap::is_magic(*magic) => pcap::parse(&data, &mut frames),
            _ => return Err(not_a_capture(name, &data, trouble)),
        };
        let fault = match (result, trouble) {
            (Err(fault), None) => Some(fault),
            (Err((offset, _)), Some(trouble)) => Some((offset, trouble)),
            (Ok(()), Some(trouble)) => Some((data.len(), trouble)),
            (Ok(()), None) => None,
        };
        let cut_short = fault.map(|(offset, message)| CaptureError::Damaged {
            name: name.to_owned(),
            offset,
            frames: frames.len(),
            message,
        });
        Ok(Self {
            name: name.to_owned(),
            data,
            frames,
            cut_short,
        })
    }

    /// File name, or what the source was called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The frames in file order.
    pub fn frames(&self) -> &[CapturedFrame] {
        &self.frames
    }

    /// The captured bytes of a frame of this capture.
    pub fn bytes(&self, frame: &CapturedFrame) -> &[u8] {
        self.data.get(frame.start..frame.end).unwrap_or(&[])
    }

    /// What was wrong, if the file ended before its end.
    pub const fn cut_short(&self) -> Option<&CaptureError> {
        self.cut_short.as_ref()
    }
}

fn not_a_capture(name: &str, data: &[u8], trouble: Option<String>) -> CaptureError {
    let message = if let Some(trouble) = trouble {
        trouble
    } else if data.is_empty() {
        "the file is empty".to_owned()
    } else if data.len() < 4 {
        format!("the file has only {} bytes", data.len())
    } else if data
        .iter()
        .take(512)
        .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
    {
        "it looks like text; expected pcap, pcapng, or either of them gzipped".to_owned()
    } else {
        let magic: Vec<String> = data[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        format!(
            "it begins with {}; expected pcap, pcapng, or either of them gzipped",
            magic.join(" ")
        )
    };
    CaptureError::NotACapture {
        name: name.to_owned(),
        message,
    }
}

/// Where the built-in capture comes from.
pub const BUILTIN_SOURCE: &str = "real traffic (HTTP, DNS, SSH, ping, refused ports, resets; IPv4 and IPv6) recorded \
    between network namespaces on Linux 6.18 with nginx, curl, dnsmasq, OpenSSH";

/// The built-in capture.
///
/// # Errors
/// Never, unless the embedded file was damaged before the build.
pub fn builtin() -> Result<Capture, CaptureError> {
    let bytes: &[u8] = include_bytes!("../../captures/embedded.pcap.gz");
    Capture::read("built-in capture", bytes, DEFAULT_LIMIT_BYTES)
}

/// Where parsing stopped, and why.
type Fault = (usize, String);

/// Longest frame believed, bytes: the largest snap length tools use.
const MAX_FRAME_BYTES: u32 = 1 << 18;

#[cfg(test)]
mod tests;
