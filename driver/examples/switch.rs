//! A whole switch on the driver's public API: learns where addresses are, tracks connections, lets the card take over the
//! established ones. The card here is the simulated board; on a real machine `Host` would map a BAR and DMA memory.
//!
//! `cargo run -p driver --example switch`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use driver::{
    Driver, DriverConfig, Egress, Platform, Progress, Received, Switch, Work, observer::Blind,
    policy,
};
use firmware::Board;
use nic_model::chip::Fate;
use nic_model::clock::Picos;
use nic_model::config::NicConfig;
use nic_model::frame::FrameBuffer;
use nic_model::host::Outside;
use nic_model::host::memory::{DmaAddress, HostMemory};
use packet::{Ethernet, MacAddress, TcpFlags, build::FrameBuilder};
use std::collections::BTreeMap;

/// Ports by the addresses seen behind them.
#[derive(Default)]
struct Learning(BTreeMap<MacAddress, u8>);

impl Switch for Learning {
    fn egress(&mut self, packet: &Received<'_>) -> Egress {
        let Ok(ethernet) = Ethernet::new(packet.frame) else {
            return Egress::Drop;
        };
        self.0.insert(ethernet.source(), packet.port);
        match self.0.get(&ethernet.destination()) {
            Some(port) if *port == packet.port => Egress::Drop,
            Some(port) => Egress::Port(*port),
            // With two ports, flooding is sending to the other one.
            None => Egress::Port(packet.port ^ 1),
        }
    }
}

/// The machine: memory the card can reach, and what it sends.
struct Outer {
    memory: HostMemory,
    interrupt_at: Option<Picos>,
    sent: u64,
}

impl Outside for Outer {
    fn memory(&mut self) -> &mut HostMemory {
        &mut self.memory
    }
    fn interrupt(&mut self, at: Picos) {
        self.interrupt_at = Some(at);
    }
    fn frame_out(
        &mut self,
        _port: u8,
        _address: DmaAddress,
        _length: usize,
        _tag: u64,
        _at: Picos,
    ) {
        self.sent += 1;
    }
    fn frame_dropped(&mut self, _tag: u64, _at: Picos) {}
}

struct Host<'a> {
    board: &'a mut Board,
    outer: &'a mut Outer,
    now: Picos,
}

impl Platform for Host<'_> {
    fn now(&self) -> Picos {
        self.now
    }
    fn spend(&mut self, _work: Work, times: u32) {
        self.now += Picos::from_nanos(100 * u64::from(times));
    }
    fn read_register(&mut self, offset: u32) -> u32 {
        self.board.read_register(self.now, offset)
    }
    fn write_register(&mut self, offset: u32, value: u32) {
        self.board.write_register(self.now, offset, value);
    }
    fn memory(&mut self) -> &mut HostMemory {
        &mut self.outer.memory
    }
}

/// Frame `n` of a connection: handshake, then data from both sides in turn.
fn frame(n: u32) -> (u8, Vec<u8>) {
    let (a, b) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let from_client = FrameBuilder::new()
        .ethernet(a, b)
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
        .tcp(4_000, 80);
    let from_server = FrameBuilder::new()
        .ethernet(b, a)
        .ipv4([10, 0, 0, 2], [10, 0, 0, 1])
        .tcp(80, 4_000);
    let data = n.saturating_sub(3) / 2 * 10;
    match n {
        0 => (0, from_client.seq(100).flags(TcpFlags::SYN).build()),
        1 => (
            1,
            from_server
                .seq(500)
                .ack(101)
                .flags(TcpFlags::SYN | TcpFlags::ACK)
                .build(),
        ),
        2 => (0, from_client.seq(101).ack(501).build()),
        _ if n % 2 == 1 => (
            0,
            from_client
                .seq(101 + data)
                .ack(501 + data)
                .payload(&[1; 10])
                .build(),
        ),
        _ => (
            1,
            from_server
                .seq(501 + data)
                .ack(111 + data)
                .payload(&[2; 10])
                .build(),
        ),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let nic = NicConfig::preset(NicConfig::DEFAULT_PRESET)?;
    let config = DriverConfig {
        rings: nic.ring.clone(),
        ..DriverConfig::default()
    };
    let bytes = driver::device::Layout::memory_bytes(&config.rings, config.buffer_bytes);
    let mut board = Board::new(&nic);
    let mut outer = Outer {
        memory: HostMemory::new(bytes),
        interrupt_at: None,
        sent: 0,
    };
    let policy = policy::by_name("assured").ok_or("no such policy")?;
    let mut host = Host {
        board: &mut board,
        outer: &mut outer,
        now: Picos::ZERO,
    };
    let mut driver = Driver::start(&mut host, config, policy)?;
    let (mut switch, mut now, mut hardware, mut parsed) =
        (Learning::default(), host.now, 0u64, Vec::new());
    for n in 0..20 {
        let (port, mut bytes) = frame(n);
        let length = bytes.len() as u32;
        board
            .chip_mut()
            .prepare([(port, bytes.as_slice(), length)].into_iter(), &mut parsed);
        now += Picos::from_micros(50);
        while board.step(now, &mut outer) {}
        if outer.interrupt_at.take().is_some() {
            let mut host = Host {
                board: &mut board,
                outer: &mut outer,
                now,
            };
            while driver.poll(&mut host, &mut switch, &mut Blind)? == Progress::Worked {}
        }
        let front = board
            .arrive(port, now, length, &parsed[0])
            .map_err(|_| "dropped")?;
        while board.step(front.lookup_at, &mut outer) {}
        let mut frame = FrameBuffer::new(&mut bytes, 0);
        let fate = board.finish(&front, &parsed[0], port, &mut frame, length, n.into());
        hardware += u64::from(matches!(fate, Fate::Forwarded { .. }));
    }
    println!(
        "20 frames: {hardware} forwarded by the card, {} by the switch",
        outer.sent
    );
    println!(
        "{} connection, {} in hardware",
        driver.tracker().len(),
        driver.installed()
    );
    assert!(
        hardware >= 10 && driver.installed() == 1,
        "the connection was not offloaded"
    );
    Ok(())
}
