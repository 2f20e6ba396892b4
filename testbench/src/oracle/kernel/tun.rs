//! TUN devices: what is written comes out of the device as a received packet, before `write` returns.

use super::KernelError;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

/// `struct ifreq` as `TUNSETIFF` reads it (netdevice(7)): a name, flags, and room.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

nix::ioctl_write_ptr_bad!(
    /// Attaches a file descriptor to a TUN interface, making it if it is not there.
    tun_set_interface,
    0x4004_54ca,
    InterfaceRequest
);

/// One device.
pub(super) struct Tun {
    file: File,
    buffer: Vec<u8>,
}

impl Tun {
    /// Makes the interface `name` in this thread's network namespace.
    pub(super) fn create(name: &str) -> Result<Self, KernelError> {
        const DEVICE: &str = "/dev/net/tun";
        const IFF_TUN: u16 = 0x0001;
        const IFF_NO_PI: u16 = 0x1000;
        let fail = |error: std::io::Error| KernelError::Missing(format!("{DEVICE}: {error}"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(nix::libc::O_NONBLOCK)
            .open(DEVICE)
            .map_err(fail)?;
        let mut request = InterfaceRequest {
            name: [0; 16],
            flags: IFF_TUN | IFF_NO_PI,
            rest: [0; 22],
        };
        for (to, from) in request.name.iter_mut().take(15).zip(name.bytes()) {
            *to = from;
        }
        attach(&file, &request).map_err(|error| fail(error.into()))?;
        Ok(Self {
            file,
            buffer: vec![0; 1 << 16],
        })
    }

    /// Lets the kernel receive a packet. Whether it took it: what is no IP packet is refused at the device.
    pub(super) fn inject(&mut self, packet: &[u8]) -> Result<bool, KernelError> {
        match self.file.write(packet) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.raw_os_error() == Some(nix::libc::EINVAL) => Ok(false),
            Err(error) => Err(KernelError::Io("inject a packet", error)),
        }
    }

    /// The next packet the kernel sends, if there is one.
    pub(super) fn take(&mut self) -> Result<Option<&[u8]>, KernelError> {
        match self.file.read(&mut self.buffer) {
            Ok(len) => Ok(Some(&self.buffer[..len])),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(KernelError::Io("read a packet", error)),
        }
    }
}

#[expect(unsafe_code, reason = "there is no safe way to this ioctl")]
fn attach(file: &File, request: &InterfaceRequest) -> nix::Result<()> {
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and the kernel reads no more than the
    // structure, which has the size and layout it expects.
    unsafe { tun_set_interface(file.as_raw_fd(), request) }.map(drop)
}
