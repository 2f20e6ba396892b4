//! The list of this crate's helpers.

use super::Helper;
use super::amanda::Amanda;
use super::broadcast::Broadcast;
use super::ftp::Ftp;
use super::h323::{H245, Q931, Ras};
use super::irc::Irc;
use super::pptp::Pptp;
use super::sane::Sane;
use super::sip::Sip;
use super::snmp::SnmpTrap;
use super::tftp::Tftp;
use std::sync::Arc;

/// The helpers of this crate, as the kernel names them.
pub(crate) fn built_in() -> Vec<Arc<dyn Helper>> {
    vec![
        Arc::new(Ftp::default()),
        Arc::new(Tftp),
        Arc::new(Irc),
        Arc::new(Amanda::default()),
        Arc::new(Sane),
        Arc::new(Pptp),
        Arc::new(Sip::udp()),
        Arc::new(Sip::tcp()),
        Arc::new(Broadcast::netbios()),
        Arc::new(Broadcast::snmp()),
        Arc::new(SnmpTrap),
        Arc::new(Ras::default()),
        Arc::new(Q931),
        Arc::new(H245),
    ]
}
