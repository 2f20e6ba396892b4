//! Frames of fragments held until connection tracking has judged their datagram.
//!
//! Connection tracking looks at whole datagrams; what is sent on are the fragments as they came. This module keeps their
//! buffers in between, bounded in number and time.

use conntrack_core::Time;
use nic_model::host::descriptors::ReceiveCompletion;
use packet::{EtherType, Ethernet, Ipv4, Ipv6};

/// How long fragments wait for the rest of their datagram (the tracker gives IPv6 datagrams up after 60 s).
const PATIENCE: Time = Time::from_secs(61);

/// What the fragments of one datagram have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DatagramKey {
    source: [u8; 16],
    destination: [u8; 16],
    identification: u32,
    protocol: u8,
}

/// The datagram a frame is a fragment of.
pub(crate) fn datagram_of(frame: &[u8]) -> Option<DatagramKey> {
    let ethernet = Ethernet::new(frame).ok()?;
    match ethernet.ethertype() {
        EtherType::IPV4 => {
            let ip = Ipv4::new(ethernet.payload())
                .ok()
                .filter(Ipv4::is_fragment)?;
            let mut key = DatagramKey {
                source: [0; 16],
                destination: [0; 16],
                identification: ip.identification().into(),
                protocol: ip.protocol().0,
            };
            key.source[..4].copy_from_slice(&ip.source());
            key.destination[..4].copy_from_slice(&ip.destination());
            Some(key)
        }
        EtherType::IPV6 => {
            let ip = Ipv6::new(ethernet.payload()).ok()?;
            let header = ip.upper_layer().ok()?.fragment?;
            Some(DatagramKey {
                source: ip.source(),
                destination: ip.destination(),
                identification: header.identification,
                protocol: 0,
            })
        }
        _ => None,
    }
}

/// Held frames, oldest first.
#[derive(Debug, Default)]
pub(crate) struct HeldFragments {
    frames: Vec<(DatagramKey, Time, ReceiveCompletion)>,
}

impl HeldFragments {
    pub(crate) fn hold(&mut self, key: DatagramKey, now: Time, completion: ReceiveCompletion) {
        self.frames.push((key, now, completion));
    }

    /// The frames of one datagram, oldest first.
    pub(crate) fn release(&mut self, key: &DatagramKey) -> Vec<ReceiveCompletion> {
        self.take(|held, _| held == key)
    }

    /// Frames that waited too long, and the oldest beyond `most`.
    pub(crate) fn overdue(&mut self, now: Time, most: usize) -> Vec<ReceiveCompletion> {
        let mut surplus = self.frames.len().saturating_sub(most);
        self.take(|_, since| {
            let over = surplus > 0;
            surplus = surplus.saturating_sub(1);
            over || now - since > PATIENCE
        })
    }

    /// The buffers in which they lie.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = u32> + '_ {
        self.frames
            .iter()
            .map(|(_, _, completion)| completion.buffer())
    }

    pub(crate) const fn len(&self) -> usize {
        self.frames.len()
    }

    fn take(
        &mut self,
        mut which: impl FnMut(&DatagramKey, Time) -> bool,
    ) -> Vec<ReceiveCompletion> {
        let mut taken = Vec::new();
        self.frames.retain(|(key, since, completion)| {
            let take = which(key, *since);
            if take {
                taken.push(*completion);
            }
            !take
        });
        taken
    }
}
