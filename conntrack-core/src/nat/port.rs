//! The search for a free port.

use super::target::Bounds;
use super::{Chance, Manip};
use crate::tuple::Tuple;
use packet::Protocol;

/// Ports tried in the first round; each further one tries half as many, at another place.
const MOST_ATTEMPTS: u32 = 128;
/// A round of fewer is the last.
const FEWEST_ATTEMPTS: u32 = 16;

/// Sets the translated id of `tuple` to one that `taken` says is free; `taken` is also told how many attempts are left in
/// the round. If none is found, the last one tried stays.
pub(super) fn search(
    tuple: &mut Tuple,
    manip: Manip,
    bounds: &Bounds,
    has_master: bool,
    random: &mut Chance<'_>,
    mut taken: impl FnMut(&Tuple, u32) -> bool,
) {
    let Some((first, count)) = span(tuple, manip, bounds, has_master) else {
        return;
    };
    let own = *id(tuple, manip);
    let last = first + (count - 1) as u16;
    let mut by_chance = || random(first..=last).clamp(first, last) - first;
    let mut offset = match bounds.ports.base {
        Some(base) => own.wrapping_sub(base),
        None if bounds.ports.random != super::Random::No || manip == Manip::Source => by_chance(),
        None => 0,
    };
    let mut attempts = count.min(MOST_ATTEMPTS);
    loop {
        for left in (1..=attempts).rev() {
            *id(tuple, manip) = first.wrapping_add((u32::from(offset) % count) as u16);
            if !taken(tuple, left) {
                return;
            }
            offset = offset.wrapping_add(1);
        }
        if attempts >= count || attempts < FEWEST_ATTEMPTS {
            return;
        }
        attempts /= 2;
        offset = by_chance();
    }
}

/// First id to try, and how many there are; none if the protocol has none to choose.
fn span(tuple: &mut Tuple, manip: Manip, bounds: &Bounds, has_master: bool) -> Option<(u16, u32)> {
    let within = |first: u16, last: u16| (first, u32::from(last - first) + 1);
    let given = bounds
        .ports
        .range
        .map(|(first, last)| within(first.min(last), first.max(last)));
    match tuple.protocol() {
        Protocol::ICMP | Protocol::ICMPV6 => given.or(Some(within(0, u16::MAX))),
        // Only a key that a helper has seen being agreed on may be another one.
        Protocol::GRE if !has_master => None,
        Protocol::GRE => given.or(Some(within(1, u16::MAX))),
        _ if tuple.has_ports() => {
            if given.is_some() || manip == Manip::Destination {
                return given;
            }
            // Privileged ports stay privileged ports (the kernel's classes).
            Some(match tuple.source_id {
                ..512 => within(1, 511),
                512..1024 => within(600, 1023),
                1024.. => within(1024, u16::MAX),
            })
        }
        _ => None,
    }
}

/// The id that is translated.
fn id(tuple: &mut Tuple, manip: Manip) -> &mut u16 {
    match manip {
        Manip::Destination if !tuple.is_icmp() => &mut tuple.destination_id,
        _ => &mut tuple.source_id,
    }
}

/// Whether the id of a tuple lies within the bounds' range, if there is one.
pub(super) fn within(tuple: &Tuple, manip: Manip, range: (u16, u16)) -> bool {
    let id = match tuple.protocol() {
        Protocol::ICMP | Protocol::ICMPV6 => tuple.source_id,
        protocol if protocol == Protocol::GRE || tuple.has_ports() => match manip {
            Manip::Source => tuple.source_id,
            Manip::Destination => tuple.destination_id,
        },
        _ => return true,
    };
    (range.0..=range.1).contains(&id)
}
