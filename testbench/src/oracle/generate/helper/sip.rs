//! What ends say that talk SIP.

use super::super::dice::Dice;
use super::super::wire::Address;
use super::end::End;
use super::script::words;

fn bracketed(address: Address) -> String {
    match address {
        Address::V4(_) => words(address, "."),
        Address::V6(_) => format!("[{}]", words(address, ".")),
    }
}

/// One message, now and then two.
pub(super) fn messages(end: &End, dice: &mut Dice) -> Vec<u8> {
    let mut text = message(end, dice);
    if end.is_tcp() && dice.chance(15) {
        text.push_str(&message(end, dice));
    }
    text.into_bytes()
}

/// A line of what was heard that begins so.
fn heard<'a>(told: &'a str, names: &[&str]) -> Option<&'a str> {
    told.split("\r\n")
        .find(|line| names.iter().any(|name| line.starts_with(name)))
}

fn message(end: &End, dice: &mut Dice) -> String {
    let told = String::from_utf8_lossy(&end.told).into_owned();
    let answers = told.contains(" SIP/2.0") && dice.chance(if end.is_client { 40 } else { 75 });
    let own = if dice.chance(93) {
        end.local
    } else {
        end.remote
    };
    let port = dice.pick(&[own.1, own.1, own.1, 5_060, 4_000, 4_001, 80]);
    let mut here = format!("{}:{port}", bracketed(own.0));
    match dice.below(40) {
        0 => here.push_str("65536"),
        1 => {
            let zeros = dice.pick(&["0", "00", "0000000"]);
            here.insert_str(here.len() - 4, zeros);
        }
        2 => here.truncate(here.len() - 5),
        3 => here = bracketed(own.0),
        _ => {}
    }
    let there = format!("{}:{}", bracketed(end.remote.0), end.remote.1);
    let method = dice.pick(&[
        "REGISTER", "REGISTER", "REGISTER", "INVITE", "INVITE", "INVITE", "ACK", "BYE", "PRACK",
        "UPDATE", "OPTIONS", "INVITED",
    ]);
    let mut out = if answers {
        let code = dice.pick(&[
            "100 Trying",
            "180 Ringing",
            "200 OK",
            "200 OK",
            "200 OK",
            "299 ",
            "404 No",
            "302 x",
        ]);
        format!("SIP/2.0 {code}\r\n")
    } else {
        let user = dice.pick(&["", "bob@", "bob@"]);
        format!("{method} sip:{user}{there} SIP/2.0\r\n")
    };
    let via = heard(&told, &["Via:", "v:"]).filter(|_| answers && dice.chance(90));
    let transport = if end.is_tcp() { "TCP" } else { "UDP" };
    match via {
        Some(via) => out.push_str(via),
        None => {
            let name = dice.pick(&["Via:", "v:", "Via :", "Via:\r\n"]);
            out.push_str(&format!("{name} SIP/2.0/{transport} {here};branch=z9"));
        }
    }
    let others = [
        format!(";rport={}", end.remote.1),
        format!(";received={}", words(end.remote.0, ".")),
        format!(";maddr={}", bracketed(own.0)),
        format!(
            ";rport={};received={}",
            end.local.1,
            words(end.local.0, ".")
        ),
    ];
    if dice.chance(25) {
        out.push_str(&others[dice.below(others.len())]);
    }
    out.push_str("\r\n");
    let (from, to) = (dice.pick(&["From", "f"]), dice.pick(&["To", "t"]));
    out.push_str(&format!(
        "{from}: <sip:a@{here}>;tag=1\r\n{to}: \"B\" <sip:{there}>\r\n"
    ));
    let sequence = heard(&told, &["CSeq"]).filter(|_| answers && dice.chance(90));
    let number = dice.pick(&[
        "1",
        "1",
        "2",
        "0",
        "x",
        "4294967297",
        "0000000001",
        "00000000001",
        "000000000001",
        "00000000000001",
        "18446744073709551617",
    ]);
    let number = if dice.chance(85) { "1" } else { number };
    match sequence {
        Some(line) => out.push_str(&format!("{line}\r\n")),
        None => out.push_str(&format!("CSeq: {number} {method}\r\n")),
    }
    if dice.chance(20) {
        out.push_str(dice.pick(&[
            "Expires: 100\r\n",
            "Expires: 0\r\n",
            "expires:7200\r\n",
            "Expires: 4294967296\r\n",
            "Expires: 00000000000000000100\r\n",
        ]));
    }
    let contact = heard(&told, &["Contact", "m:"]).filter(|_| answers && dice.chance(80));
    match contact {
        Some(line) => out.push_str(&format!("{line}\r\n")),
        None if dice.chance(90) => out.push_str(&contacts(&here, &there, dice)),
        None => {}
    }
    let described = dice.chance(if method == "REGISTER" { 5 } else { 70 });
    let body = if described {
        description(end, dice)
    } else {
        String::new()
    };
    let length = if dice.chance(95) {
        body.len()
    } else {
        body.len() + dice.pick(&[1, 3, 100, 300, 500])
    };
    let name = dice.pick(&["Content-Length", "Content-Length", "l"]);
    if dice.chance(98) {
        out.push_str(&format!("{name}: {length}\r\n"));
    }
    if dice.chance(50) {
        out.push_str("User-Agent: x\r\n");
    }
    format!("{out}\r\n{body}")
}

fn contacts(here: &str, there: &str, dice: &mut Dice) -> String {
    let name = dice.pick(&["Contact: ", "m: ", "Contact:", "contact:\r\n "]);
    let mut out = name.to_owned();
    for at in 0..dice.pick(&[1, 1, 1, 2, 3]) {
        if at > 0 {
            out.push_str(dice.pick(&[", ", ",", "\r\nContact: "]));
        }
        let host = if dice.chance(85) { here } else { there };
        let transport = dice.pick(&[
            "",
            "",
            "",
            ";transport=udp",
            ";transport=TCP",
            ";transport=tls",
        ]);
        let expires = dice.pick(&[
            "",
            ";expires=60",
            ";expires=60",
            ";expires=0",
            ";expires=0x10",
            ";expires=",
            ";expires=010;q=1",
        ]);
        out.push_str(&format!("<sip:bob@{host}{transport}>{expires}"));
    }
    out.push_str("\r\n");
    out
}

fn description(end: &End, dice: &mut Dice) -> String {
    let version = if end.local.0.is_v6() { 6 } else { 4 };
    let mut address = || {
        let own = if dice.chance(93) {
            end.local.0
        } else {
            end.remote.0
        };
        format!("IN IP{version} {}", words(own, "."))
    };
    let (owner, session) = (address(), address());
    let mut out = format!("v=0\r\no=- 1 1 {owner}\r\ns=-\r\n");
    if dice.chance(85) {
        out.push_str(&format!("c={session}\r\n"));
    }
    out.push_str("t=0 0\r\n");
    for _ in 0..dice.pick(&[1, 1, 1, 2, 3, 4]) {
        let kind = dice.pick(&["audio", "audio", "video", "image", "text"]);
        let port = dice.pick(&[2_000, 2_000, 2_001, 20_000, 20_000, 40_000, 65_534, 0, 5]);
        let port = if dice.chance(80) {
            port.max(1_024)
        } else {
            port
        };
        let zeros = if dice.chance(3) {
            dice.pick(&["0", "00", "4294967296"])
        } else {
            ""
        };
        out.push_str(&format!("m={kind} {zeros}{port} RTP/AVP 0\r\n"));
        if dice.chance(25) {
            let own = if dice.chance(90) {
                end.local.0
            } else {
                end.remote.0
            };
            out.push_str(&format!("c=IN IP{version} {}\r\n", words(own, ".")));
        }
    }
    out
}
