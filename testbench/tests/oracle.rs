//! The judge at work, where it can be: it takes root and a kernel with connection tracking.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use conntrack_core::dump::{
    conntrack_expect, conntrack_save, conntrack_tools, conntrack_xml, proc,
};
use conntrack_core::{Config, HashKey, Packet, Time, Tracker};
use packet::Protocol;
use packet::build::FrameBuilder;
use std::net::{Ipv4Addr, UdpSocket};
use testbench::oracle::case::{Case, Ruleset, Side, Step};
use testbench::oracle::fuzz::{FuzzConfig, fuzz, judge_apart};
use testbench::oracle::generate::{Conversation, Dice, Family, Versions};
use testbench::oracle::judge::{JudgeError, judge_step};
use testbench::oracle::kernel::{Kernel, KernelError, Seen};
use testbench::oracle::ours::{Ours, START as NOW};

/// Whether the kernel can be asked; says so loudly if not, and fails where that is forbidden.
fn possible() -> bool {
    let Err(error) = Kernel::with(&[], Ruleset::Plain, |_| Ok(())) else {
        return true;
    };
    let forbidden = std::env::var_os("CTNIC_REQUIRE_TOOLS").is_some();
    assert!(!forbidden, "skipping is forbidden here: {error}");
    eprintln!("SKIPPED: {error}");
    false
}

#[test]
fn a_short_run_of_every_family_shows_no_difference() {
    if !possible() {
        return;
    }
    for (family, name) in Family::ALL {
        let config = FuzzConfig {
            family,
            versions: Versions::Both,
            seed: 5,
            packets: 3_000,
            sysctls: Vec::new(),
        };
        let report = Kernel::with(&[], family.rules(), |kernel| {
            Ok::<_, KernelError>(fuzz(kernel, &config, |_| true))
        });
        let report = report.expect("a kernel").expect("a run");
        let first = report.found.first().map(|found| &found.difference.what);
        assert_eq!(report.different, 0, "{name}: {first:?}");
        assert!(report.packets >= 3_000);
    }
}

#[test]
fn a_difference_is_found() -> Result<(), JudgeError> {
    if !possible() {
        return Ok(());
    }
    // A UDP datagram with a wrong checksum: INVALID, but not to a kernel that was told not to look.
    let wrong = [
        0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0x66, 0xcf, 10, 0, 0, 1, 10, 0, 0, 2, 0x0f, 0xa0, 0,
        53, 0, 8, 0x12, 0x34,
    ];
    let case = Case {
        steps: vec![Step {
            after_s: 0,
            side: Side::A,
            bytes: wrong.to_vec(),
        }],
        ..Case::default()
    };
    let judgement = judge_apart(&case)?;
    assert_eq!(judgement.difference, None);
    assert_eq!(judgement.answers[0].fate.seen, Some(Seen::Invalid));
    let checksum_off = [(
        "net.netfilter.nf_conntrack_checksum".to_owned(),
        "0".to_owned(),
    )];
    let judgement = Kernel::with(&checksum_off, Ruleset::Plain, |kernel| {
        Ok::<_, KernelError>(testbench::oracle::judge::judge(kernel, &case))
    })??;
    assert!(judgement.difference.is_some());
    Ok(())
}

/// Lines in an order of their own, without what the tools count and name by themselves.
fn comparable(text: &str) -> Vec<String> {
    let without = |line: &str, from: &str, to: &str| match line.split_once(from) {
        Some((before, rest)) => {
            let after = rest.split_once(to).map_or("", |(_, after)| after);
            format!("{before}{after}")
        }
        None => line.to_owned(),
    };
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| without(line, "<id>", "</id>"))
        .map(|line| without(&line, "<use>", "</use>"))
        .map(|line| without(&line, "<start>", "</start>"))
        .map(|line| without(&line, " [start=", "]"))
        // A second may begin while the conversation goes on.
        .map(|line| line.replace("delta-time=1 ", "delta-time=0 "))
        .map(|line| line.replace("<deltatime>1<", "<deltatime>0<"))
        .map(|line| line.split(" use=").next().unwrap_or_default().to_owned())
        .collect();
    lines.sort();
    // The kernel shows one twice if those of another namespace come or go while it is asked.
    lines.dedup();
    lines
}

/// Panics with the first line of `theirs` that `print` does not print, at this instant or a moment later: the kernel's
/// seconds are whole ones left.
fn same(what: &str, print: impl Fn(Time) -> String, theirs: &str) {
    let [now, later] = [NOW, Time(NOW.0 + 1_000_000)].map(|time| comparable(&print(time)));
    let theirs = comparable(theirs);
    for line in &theirs {
        let printed = now.contains(line) || later.contains(line);
        assert!(printed, "{what}: {line} is not among {now:#?}");
    }
    assert_eq!(now.len(), theirs.len(), "{what}");
}

/// Generated conversations, each before both and then shown.
fn after_conversations(
    family: Family,
    seed: u64,
    mut show: impl FnMut(&mut Kernel, &Ours) -> Result<(), KernelError> + Send,
) {
    let sysctls = ["acct", "timestamp"].map(|name| {
        let name = format!("net.netfilter.nf_conntrack_{name}");
        (name, "1".to_owned())
    });
    let rules = family.rules();
    Kernel::with(&sysctls, rules, |kernel| {
        for number in 0..40 {
            kernel.flush()?;
            let mut dice = Dice::new(seed, number);
            let case = Case {
                sysctls: sysctls.to_vec(),
                rules,
                ..Case::default()
            };
            let mut ours = Ours::new(&case).expect("no sysctl");
            let mut conversation = Conversation::new(family, Versions::Both, &mut dice);
            loop {
                let steps = conversation.next(&mut dice, ours.tracker());
                if steps.is_empty() {
                    break;
                }
                for mut step in steps {
                    // Listings are compared to the second.
                    step.after_s = 0;
                    let (answer, differences) = judge_step(kernel, &mut ours, &step)?;
                    assert!(
                        differences.is_empty(),
                        "conversation {number}: {differences:?}"
                    );
                    conversation.heard(&step, &answer.fate.sent, &mut dice);
                }
            }
            show(kernel, &ours)?;
        }
        Ok(())
    })
    .expect("a kernel");
}

#[test]
fn tables_are_printed_as_the_tools_print_them() {
    if !possible() {
        return;
    }
    let mut entries = 0;
    after_conversations(Family::Zones, 9, |kernel, ours| {
        let tracker = ours.tracker();
        entries += tracker.len();
        let extended = kernel.tool("conntrack", &["-L", "-o", "extended,ktimestamp"])?;
        let options = conntrack_tools::Options {
            ktimestamp: true,
            ..conntrack_tools::Options::EXTENDED
        };
        let list = |now| conntrack_tools::list(tracker, now, options);
        same("extended", list, &extended);
        let save = kernel.tool("conntrack", &["-L", "-o", "save"])?;
        same("save", |now| conntrack_save::list(tracker, now), &save);
        let xml = kernel.tool("conntrack", &["-L", "-o", "xml,ktimestamp"])?;
        same(
            "xml",
            |now| conntrack_xml::list(tracker, now, options),
            &xml,
        );
        let theirs = kernel.proc_table()?;
        same("proc", |now| proc::list(tracker, now), &theirs);
        Ok(())
    });
    assert!(entries > 40, "{entries} entries were printed");
}

#[test]
fn expectations_are_printed_as_the_tools_print_them() {
    if !possible() {
        return;
    }
    let (mut helped, mut expected) = (0, 0);
    after_conversations(Family::Helper, 10, |kernel, ours| {
        let tracker = ours.tracker();
        expected += tracker.expectations().count();
        let of_helpers = tracker
            .iter()
            .filter(|(_, connection)| connection.helper().is_some());
        helped += of_helpers.count();
        let extended = kernel.tool("conntrack", &["-L", "-o", "extended,ktimestamp"])?;
        let options = conntrack_tools::Options {
            ktimestamp: true,
            ..conntrack_tools::Options::EXTENDED
        };
        let list = |now| conntrack_tools::list(tracker, now, options);
        same("extended", list, &extended);
        let xml = kernel.tool("conntrack", &["-L", "-o", "xml,ktimestamp"])?;
        same(
            "xml",
            |now| conntrack_xml::list(tracker, now, options),
            &xml,
        );
        let save = kernel.tool("conntrack", &["-L", "-o", "save"])?;
        same("save", |now| conntrack_save::list(tracker, now), &save);
        let theirs = kernel.proc_table()?;
        same("proc", |now| proc::list(tracker, now), &theirs);
        // Without a family, the tool lists IPv4.
        let of = |family| ["-L", "expect", "-f", family];
        let mut theirs = kernel.tool("conntrack", &of("ipv4"))?;
        theirs += &kernel.tool("conntrack", &of("ipv6"))?;
        same(
            "expect",
            |now| conntrack_expect::list(tracker, now),
            &theirs,
        );
        let theirs = kernel.proc_expectations()?;
        same(
            "proc expect",
            |now| conntrack_expect::proc_list(tracker, now),
            &theirs,
        );
        Ok(())
    });
    assert!(
        helped > 40 && expected > 10,
        "{helped} had helpers, {expected} were expected"
    );
}

/// What the host itself asks everybody in a network, and an answer to it.
#[test]
fn answers_to_questions_of_the_hosts_own_to_everybody_are_expected() {
    if !possible() {
        return;
    }
    const RULES: &str = "add table ip own; \
        add ct helper ip own nb { type \"netbios-ns\" protocol udp; }; \
        add ct helper ip own snmp { type \"snmp\" protocol udp; }; \
        add chain ip own out { type filter hook output priority 0; }; \
        add rule ip own out udp dport 137 ct helper set \"nb\"; \
        add rule ip own out udp dport 161 ct helper set \"snmp\"";
    let sysctls = [("net.netfilter.nf_conntrack_acct".to_owned(), "1".to_owned())];
    Kernel::with(&sysctls, Ruleset::Plain, |kernel| {
        let own = [10, 9, 0, 1];
        kernel.tool(
            "ip",
            &[
                "address",
                "add",
                "10.9.0.1/24",
                "brd",
                "10.9.0.255",
                "dev",
                "ta",
            ],
        )?;
        kernel.tool("nft", &[RULES])?;
        let mut tracker = Tracker::new(Config::default(), HashKey([1, 2]));
        tracker.set_own_networks(vec![(own.into(), 24)]);
        // An address that is not its own asks in vain.
        for (helper, port, to) in [
            ("netbios-ns", 137, [10, 9, 0, 255]),
            ("snmp", 161, [10, 9, 0, 255]),
            ("snmp", 161, [10, 9, 0, 9]),
        ] {
            let socket = UdpSocket::bind((Ipv4Addr::from(own), port)).expect("an own address");
            socket.set_broadcast(true).expect("a right");
            socket
                .send_to(b"who?", (Ipv4Addr::from(to), port))
                .expect("a route");
            let datagram = |from: [u8; 4], to: [u8; 4], text: &[u8]| {
                let builder = FrameBuilder::new().ipv4(from, to);
                builder.udp(port, port).payload(text).build()
            };
            let mut packet = datagram(own, to, b"who?");
            let mut entered = tracker.enter(&Packet::whole(&packet), NOW);
            let id = tracker
                .helper_named(helper, Protocol::UDP)
                .expect("built in");
            assert!(tracker.assign_helper(&mut entered, id));
            let helped = tracker.help(&mut entered, &mut packet, &mut |_| 0, NOW);
            assert_eq!(helped, Ok(()));
            tracker.leave(entered, NOW);
            for from in [[10, 9, 0, 7], [10, 8, 0, 7]] {
                let answer = datagram(from, own, b"me");
                kernel.inject(Side::A, &answer)?;
                tracker.track(&Packet::whole(&answer), NOW);
            }
            let list =
                |now| conntrack_tools::list(&tracker, now, conntrack_tools::Options::EXTENDED);
            same(
                "connections",
                list,
                &kernel.tool("conntrack", &["-L", "-o", "extended"])?,
            );
            let list = |now| conntrack_expect::list(&tracker, now);
            same(
                "expect",
                list,
                &kernel.tool("conntrack", &["-L", "expect"])?,
            );
        }
        assert_eq!(tracker.expectations().count(), 2);
        Ok(())
    })
    .expect("a kernel");
}
