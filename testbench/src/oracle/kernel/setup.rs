//! The namespace: devices up, routes by arriving interface, rules that make verdicts visible.

use super::{KernelError, Seen};
use crate::oracle::case::{Ruleset, Side};
use crate::oracle::rules::nat::interface_address;
use nix::sched::{CloneFlags, unshare};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// The two devices.
pub(super) const DEVICES: [&str; 2] = ["ta", "tb"];

/// Leaves this thread alone in a new network namespace.
pub(super) fn enter_namespace() -> Result<(), KernelError> {
    if !nix::unistd::Uid::effective().is_root() {
        return Err(KernelError::Missing(
            "it takes root (a network namespace, TUN devices)".into(),
        ));
    }
    unshare(CloneFlags::CLONE_NEWNET)
        .map_err(|error| KernelError::Missing(format!("no network namespace: {error}")))
}

/// Everything but the devices themselves.
pub(super) fn configure(sysctls: &[(String, String)], ruleset: Ruleset) -> Result<(), KernelError> {
    // The rules first: connection tracking and its sysctls come with them.
    run("nft", &["-f", "-"], Some(&rules(ruleset)))?;
    for (name, value) in DEFAULTS {
        sysctl(name, value)?;
    }
    for device in DEVICES {
        for (name, value) in PER_DEVICE {
            sysctl(&name.replace('%', device), value)?;
        }
        run("ip", &["link", "set", device, "mtu", "65535", "up"], None)?;
    }
    if ruleset.translates() {
        give_addresses()?;
    }
    for (from, to, table) in [
        (DEVICES[0], DEVICES[1], "100"),
        (DEVICES[1], DEVICES[0], "101"),
    ] {
        for family in ["-4", "-6"] {
            let rule = ["rule", "add", "pref", table, "iif", from, "lookup", table];
            run("ip", &[&[family], &rule[..]].concat(), None)?;
            run(
                "ip",
                &[family, "route", "add", "default", "dev", to, "table", table],
                None,
            )?;
        }
    }
    // Where the kernel itself would send a packet: helpers ask for the way (H.323's `callforward_filter`).
    for family in ["-4", "-6"] {
        let way = [family, "route", "add", "default", "dev", DEVICES[1]];
        run("ip", &way, None)?;
    }
    sysctls
        .iter()
        .try_for_each(|(name, value)| sysctl(name, value))
}

/// Addresses for the devices, that packets are translated to. They are looked up last, so that packets to them are
/// forwarded all the same.
fn give_addresses() -> Result<(), KernelError> {
    for (device, side) in DEVICES.into_iter().zip([Side::A, Side::B]) {
        for v6 in [false, true] {
            let address = interface_address(side, v6).to_string();
            let mut command = vec!["address", "add", &address, "dev", device];
            if v6 {
                command.push("nodad");
            }
            run("ip", &command, None)?;
        }
    }
    for family in ["-4", "-6"] {
        let last = ["rule", "add", "pref", "1000", "lookup", "local"];
        run("ip", &[&[family], &last[..]].concat(), None)?;
        run("ip", &[family, "rule", "del", "pref", "0"], None)?;
    }
    Ok(())
}

/// A router that asks no questions, counts packets, and keeps many fragments.
const DEFAULTS: [(&str, &str); 12] = [
    ("net.ipv4.ip_forward", "1"),
    ("net.ipv6.conf.all.forwarding", "1"),
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.default.rp_filter", "0"),
    ("net.ipv4.conf.all.accept_local", "1"),
    ("net.ipv4.conf.all.send_redirects", "0"),
    ("net.ipv4.conf.default.send_redirects", "0"),
    ("net.ipv4.icmp_ratelimit", "0"),
    ("net.ipv4.ipfrag_high_thresh", "268435456"),
    ("net.ipv4.ipfrag_max_dist", "0"),
    ("net.netfilter.nf_conntrack_frag6_high_thresh", "268435456"),
    ("net.netfilter.nf_conntrack_acct", "1"),
];

/// Quiet devices that accept any source; `%` is the device.
const PER_DEVICE: [(&str, &str); 6] = [
    ("net.ipv4.conf.%.rp_filter", "0"),
    ("net.ipv4.conf.%.accept_local", "1"),
    ("net.ipv4.conf.%.send_redirects", "0"),
    ("net.ipv6.conf.%.accept_dad", "0"),
    ("net.ipv6.conf.%.addr_gen_mode", "1"),
    ("net.ipv6.conf.%.router_solicitations", "0"),
];

pub(super) fn sysctl(name: &str, value: &str) -> Result<(), KernelError> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    std::fs::write(&path, value)
        .map_err(|error| KernelError::Missing(format!("{name}={value}: {error}")))
}

/// Rules that mark each packet with how connection tracking sees it; they come after all others, but before confirmation.
fn rules(ruleset: Ruleset) -> String {
    // The kernel's own packets (ICMP errors, neighbour discovery) would be tracked, and mixed up with those that are judged.
    let mut rules = String::from(
        "table inet judge {\n  chain own {\n    type filter hook output priority -500;\n    meta l4proto { icmp, ipv6-icmp } drop\n  }\n  \
         chain late {\n    type filter hook postrouting priority 300;\n",
    );
    for (_, dscp, state, direction) in Seen::MARKS {
        let direction = direction.map_or_else(String::new, |direction| {
            format!("ct direction {direction} ")
        });
        for family in ["ip", "ip6"] {
            // Writing to a String cannot fail.
            writeln!(
                rules,
                "    ct state {state} {direction}{family} dscp set {dscp}"
            )
            .ok();
        }
    }
    rules.push_str("  }\n");
    rules.push_str(&ruleset.nft());
    rules.push_str("}\n");
    rules
}

pub(super) fn run(
    program: &str,
    arguments: &[&str],
    input: Option<&str>,
) -> Result<String, KernelError> {
    let missing = |error: std::io::Error| KernelError::Missing(format!("{program}: {error}"));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(missing)?;
    if let (Some(mut stdin), Some(text)) = (child.stdin.take(), input) {
        stdin.write_all(text.as_bytes()).map_err(missing)?;
    }
    let output = child.wait_with_output().map_err(missing)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    let line = message.lines().next().unwrap_or("no message").to_owned();
    Err(KernelError::Missing(format!(
        "{program} {}: {line}",
        arguments.join(" ")
    )))
}
