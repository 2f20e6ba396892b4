//! Messages in TCP (RFC 1006, section 6): a header of four octets says how long each is.

use super::{place, places};
use crate::helper::Talk;
use crate::reason::Reason;
use std::ops::Range;

const HEADER: usize = 4;

/// Each message that is whole, up to the first that is not, or that `understand` says is none.
pub(super) fn messages(
    talk: &mut Talk<'_>,
    mut understand: impl FnMut(&mut Talk<'_>, Range<usize>) -> Option<Result<(), Reason>>,
) -> Result<(), Reason> {
    let [rest, _] = places(talk, place::REST);
    let mut at = 0;
    loop {
        let left = talk.payload().get(at..).unwrap_or(&[]);
        if at > 0 && left.len() <= HEADER {
            break;
        }
        let awaited = talk.memory[rest] as usize;
        let part = match *left {
            [3, 0, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                if length > HEADER && left.len() == HEADER {
                    // The message comes alone, in the next packet.
                    talk.memory()[rest] = (length - HEADER) as u32;
                    return Ok(());
                }
                if length < HEADER || length > left.len() {
                    break;
                }
                at + HEADER..at + length
            }
            _ if awaited == 0 => return Ok(()),
            _ if awaited > left.len() => break,
            _ => at..at + awaited,
        };
        at = part.end;
        talk.memory()[rest] = 0;
        match understand(talk, part) {
            Some(understood) => understood?,
            None => break,
        }
    }
    talk.memory()[rest] = 0;
    Ok(())
}
