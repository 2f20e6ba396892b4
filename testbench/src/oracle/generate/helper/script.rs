//! What ends say, rightly mostly.

use super::super::dice::Dice;
use super::super::wire::Address;
use super::end::End;
use super::{h323, sip, snmp};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Something that fits what the end is talking.
pub(super) fn line(end: &End, dice: &mut Dice) -> Vec<u8> {
    let port = dice.pick(&[2_000, 2_001, 20_000, 5, 65_535, 40_000]);
    let own = if dice.chance(93) {
        end.local.0
    } else {
        end.remote.0
    };
    let mut text = match (end.service, end.is_client) {
        (21, true) => ftp_client(own, port, dice),
        (21, false) => ftp_server(own, port, dice),
        (69, _) => tftp(dice),
        (6_667, _) => irc(own, port, dice),
        (162, _) => snmp::message(end, dice),
        (10_080, false) => amanda(port, dice),
        (6_566, client) => sane(client, port, dice),
        (1_723, client) => return pptp(client, &end.told, dice),
        (5_060, _) => sip::messages(end, dice),
        (h323::RAS, _) => h323::ras(end, dice),
        (h323::CALLS, _) => h323::call(end, dice),
        (h323::CONTROL, _) => h323::control(end, dice),
        _ => b"some data\n".to_vec(),
    };
    if dice.chance(8) && !text.is_empty() {
        let at = dice.below(text.len());
        text[at] = dice.pick(b" ,|0129(\r\nx\0");
    }
    if dice.chance(4) {
        text.truncate(dice.below(text.len()));
    }
    if dice.chance(4) && text.len() < 1_000 {
        text.extend(text.clone());
    }
    text
}

pub(super) fn words(address: Address, separator: &str) -> String {
    match address {
        Address::V4(bytes) => bytes.map(|byte| byte.to_string()).join(separator),
        Address::V6(bytes) => Ipv6Addr::from(bytes).to_string(),
    }
}

fn six(address: Address, port: u16) -> String {
    let [high, low] = port.to_be_bytes();
    match address {
        Address::V4(_) => format!("{},{high},{low}", words(address, ",")),
        Address::V6(_) => format!("10,0,0,1,{high},{low}"),
    }
}

fn ftp_client(own: Address, port: u16, dice: &mut Dice) -> Vec<u8> {
    let text = match dice.below(10) {
        0..4 => format!("PORT {}\r\n", six(own, port)),
        4..7 => {
            let kind = if own.is_v6() { 2 } else { 1 };
            let bar = if dice.chance(85) { '|' } else { '!' };
            let address = words(own, ".");
            format!("EPRT {bar}{kind}{bar}{address}{bar}{port}{bar}\r\n")
        }
        7 => format!("port  {}\r\n", six(own, port)),
        8 => "PASV\r\n".to_owned(),
        _ => "USER anonymous\r\n".to_owned(),
    };
    text.into_bytes()
}

fn ftp_server(own: Address, port: u16, dice: &mut Dice) -> Vec<u8> {
    let text = match dice.below(10) {
        0..4 => format!("227 Entering Passive Mode ({}).\r\n", six(own, port)),
        4..7 => format!("229 Entering Extended Passive Mode (|||{port}|)\r\n"),
        7 => format!("227 ={}\r\n", six(own, port)),
        8 => "220 hello\r\n".to_owned(),
        _ => "200 fine\r\n".to_owned(),
    };
    text.into_bytes()
}

fn tftp(dice: &mut Dice) -> Vec<u8> {
    let mut text = vec![0, dice.pick(&[1, 2, 3, 4, 1])];
    text.extend(b"file\0octet\0");
    text
}

fn irc(own: Address, port: u16, dice: &mut Dice) -> Vec<u8> {
    let address = match own {
        Address::V4(bytes) => u32::from(Ipv4Addr::from(bytes)),
        Address::V6(_) => 1,
    };
    let command = dice.pick(&["SEND", "CHAT", "MOVE", "TSEND", "SCHAT", "RSEND"]);
    let prefix = dice.pick(&["", "", " ", "\r\n"]);
    let word = dice.pick(&["PRIVMSG", "PRIVMSG", "PRIVMSG", "privmsg", "NOTICE"]);
    let gap = dice.pick(&[" ", "  "]);
    format!("{prefix}{word} bob :\x01DCC {command} file.txt {address}{gap}{port}\x01\n")
        .into_bytes()
}

fn amanda(port: u16, dice: &mut Dice) -> Vec<u8> {
    let state = if dice.chance(30) { " STATE 9" } else { "" };
    let index = port.wrapping_add(2);
    let mesg = port.wrapping_add(1);
    format!(
        "Amanda 2.4 REP HANDLE 1\nCONNECT DATA {port} MESG {mesg} INDEX {index}{state}\nOPTIONS ;\n"
    )
    .into_bytes()
}

fn sane(is_client: bool, port: u16, dice: &mut Dice) -> Vec<u8> {
    if is_client {
        return vec![0, 0, 0, dice.pick(&[7, 7, 7, 6]), 0, 0, 0, 1];
    }
    let [high, low] = port.to_be_bytes();
    vec![0, 0, 0, dice.pick(&[0, 0, 0, 1]), 0, 0, high, low, 1, 2]
}

/// A control message of PPTP: the next one that is due mostly.
fn pptp(is_client: bool, told: &[u8], dice: &mut Dice) -> Vec<u8> {
    let told_kind = told.get(9).copied().unwrap_or(0);
    let due: &[u8] = match (is_client, told_kind) {
        (true, 2) => &[7, 7, 7, 12],
        (true, 9) => &[10],
        (true, _) => &[1, 1, 7, 12, 3],
        (false, 1) => &[2, 2, 2, 9],
        (false, 7) => &[8],
        (false, 10) => &[11],
        (false, _) => &[9, 13, 2, 8, 14],
    };
    let kind = if dice.chance(85) {
        dice.pick(due)
    } else {
        1 + dice.below(16) as u8
    };
    let length = match kind {
        1 | 2 => 144,
        7 => 156,
        8 => 20,
        9 => 208,
        10 | 15 => 12,
        11 => 16,
        13 => 136,
        14 => 28,
        _ => 4,
    };
    let mut fields = vec![0; length];
    let own = 1 + dice.below(3) as u8;
    let echoed = told.get(12..14).filter(|_| dice.chance(90));
    let other = echoed.map_or([0, 2], |id| [id[0], id[1]]);
    match kind {
        2 => fields[2] = 1,
        4 => fields[0] = 1,
        7 | 9 | 12 | 13 => fields[1] = own,
        8 | 10 => {
            fields[1] = own;
            fields[2..4].copy_from_slice(&other);
            fields[4] = dice.pick(&[1, 1, 1, 1, 2]);
        }
        11 | 14 | 15 => fields[..2].copy_from_slice(&other),
        _ => {}
    }
    if dice.chance(3) {
        fields.truncate(dice.below(length));
    }
    let total = (fields.len() + 12) as u16;
    let mut message = total.to_be_bytes().to_vec();
    message.extend([0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, kind, 0, 0]);
    if dice.chance(3) {
        let at = 2 + dice.below(6);
        message[at] ^= 1;
    }
    message.extend(fields);
    message
}
