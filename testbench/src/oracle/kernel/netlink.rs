//! A netfilter netlink socket, and the attributes in its messages (RFC 3549; `linux/netfilter/nfnetlink.h`).

use super::KernelError;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};
use std::os::fd::{AsRawFd, OwnedFd};

const HEADER: usize = 16;
const NFGENMSG: usize = 4;
const TYPE_ERROR: u16 = 2;
const TYPE_DONE: u16 = 3;
/// `NLM_F_REQUEST`.
pub(super) const REQUEST: u16 = 1;
/// `NLM_F_ACK`.
pub(super) const ACK: u16 = 4;
/// `NLM_F_DUMP`.
pub(super) const DUMP: u16 = 0x300;
const NESTED: u16 = 0x8000;

/// A message of the netfilter subsystem: its number within the subsystem, flags, and attributes.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// Whose it is (`NFNL_SUBSYS_*`).
    pub subsystem: u8,
    pub kind: u8,
    pub flags: u16,
    pub attributes: Vec<u8>,
}

/// A socket.
pub(super) struct Netlink {
    socket: OwnedFd,
    buffer: Vec<u8>,
    sequence: u32,
}

impl Netlink {
    /// Opens a socket in this thread's network namespace; `groups` has bit 0 for the first multicast group.
    pub(super) fn open(groups: u32) -> Result<Self, KernelError> {
        let fail =
            |error: nix::Error| KernelError::Missing(format!("netfilter netlink socket: {error}"));
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkNetFilter,
        )
        .map_err(fail)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups)).map_err(fail)?;
        // Events of a whole conversation wait here.
        setsockopt(&socket, sockopt::RcvBufForce, &(64 << 20)).map_err(fail)?;
        Ok(Self {
            socket,
            buffer: vec![0; 1 << 20],
            sequence: 0,
        })
    }

    /// Asks, and reads answers to the end. `Ok(None)` if the kernel says there is no such thing.
    pub(super) fn request(
        &mut self,
        subsystem: u8,
        kind: u8,
        flags: u16,
        family: u8,
        attributes: &[u8],
    ) -> Result<Option<Vec<Message>>, KernelError> {
        self.sequence += 1;
        let mut message = Vec::with_capacity(HEADER + NFGENMSG + attributes.len());
        let length = (HEADER + NFGENMSG + attributes.len()) as u32;
        message.extend(length.to_ne_bytes());
        message.extend((u16::from(subsystem) << 8 | u16::from(kind)).to_ne_bytes());
        message.extend((REQUEST | flags).to_ne_bytes());
        message.extend(self.sequence.to_ne_bytes());
        message.extend([0; 4]);
        message.extend([family, 0, 0, 0]);
        message.extend(attributes);
        let io = |error: nix::Error| KernelError::Io("ask the kernel", error.into());
        send(self.socket.as_raw_fd(), &message, MsgFlags::empty()).map_err(io)?;
        let mut answers = Vec::new();
        loop {
            let length =
                recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::empty()).map_err(io)?;
            let end = read_messages(&self.buffer[..length], &mut answers);
            match end {
                End::More if flags & (DUMP | ACK) == 0 && !answers.is_empty() => {
                    return Ok(Some(answers));
                }
                End::More => {}
                End::Done => return Ok(Some(answers)),
                End::Error(nix::Error::ENOENT) => return Ok(None),
                End::Error(error) => return Err(io(error)),
            }
        }
    }

    /// Messages that wait, oldest first.
    pub(super) fn drain(&mut self) -> Result<Vec<Message>, KernelError> {
        let mut messages = Vec::new();
        loop {
            match recv(
                self.socket.as_raw_fd(),
                &mut self.buffer,
                MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(length) => drop(read_messages(&self.buffer[..length], &mut messages)),
                Err(nix::Error::EAGAIN) => return Ok(messages),
                Err(error) => return Err(KernelError::Io("read events", error.into())),
            }
        }
    }
}

enum End {
    More,
    Done,
    Error(nix::Error),
}

fn read_messages(mut bytes: &[u8], out: &mut Vec<Message>) -> End {
    while let Some((header, _)) = bytes.split_first_chunk::<HEADER>() {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let flags = u16::from_ne_bytes([header[6], header[7]]);
        let Some(message) = bytes.get(HEADER..length) else {
            break;
        };
        match (kind, message.first_chunk::<4>()) {
            (TYPE_DONE, _) => return End::Done,
            (TYPE_ERROR, Some(code)) => {
                let code = -i32::from_ne_bytes(*code);
                return if code == 0 {
                    End::Done
                } else {
                    End::Error(nix::Error::from_raw(code))
                };
            }
            _ => out.push(Message {
                subsystem: (kind >> 8) as u8,
                kind: kind as u8,
                flags,
                attributes: message.get(NFGENMSG..).unwrap_or(&[]).to_vec(),
            }),
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    }
    End::More
}

/// The attributes in `bytes`: type and value.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let ([a, b, c, d], _) = bytes.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([*a, *b]));
        let kind = u16::from_ne_bytes([*c, *d]) & !NESTED;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

/// The value of the first attribute of this type.
pub(super) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes)
        .find(|(found, _)| *found == kind)
        .map(|(_, value)| value)
}

/// Appends an attribute.
pub(super) fn put(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend(((value.len() + 4) as u16).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Appends an attribute made of attributes.
pub(super) fn put_nested(out: &mut Vec<u8>, kind: u16, inside: impl FnOnce(&mut Vec<u8>)) {
    let mut value = Vec::new();
    inside(&mut value);
    put(out, kind | NESTED, &value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_they_were_put() {
        let mut bytes = Vec::new();
        put(&mut bytes, 1, &[7]);
        put_nested(&mut bytes, 2, |inside| put(inside, 3, &[1, 2, 3, 4]));
        assert_eq!(attribute(&bytes, 1), Some(&[7][..]));
        let nested = attribute(&bytes, 2).expect("there");
        assert_eq!(attribute(nested, 3), Some(&[1, 2, 3, 4][..]));
        assert_eq!(attribute(&bytes, 4), None);
        assert_eq!(attributes(&[1, 2, 3]).count(), 0);
        assert_eq!(attributes(&[255, 255, 1, 0, 9]).count(), 0);
    }
}
