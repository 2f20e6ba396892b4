//! The firmware of the card is another one than before: the driver works with it, or sees to it that it goes.

use conntrack_core::HashKey;
use driver::device::Layout;
use driver::observer::{Blind, Observer};
use driver::plain_board::PlainBoard;
use driver::{DeviceError, Driver, DriverConfig, Recovery, ResetCause, UpdateError, policy};
use nic_model::clock::Picos;
use nic_model::config::{KeyConfig, RingConfig};
use nic_model::host::image::{self, FACTORY, Identity, ImageError};
use nic_model::host::registers as reg;

/// Every reset, and how often the table was found in order.
#[derive(Default)]
struct Resets {
    causes: Vec<ResetCause>,
    done: u32,
}

impl Observer for Resets {
    fn recovery(&mut self, step: Recovery, _: Picos) {
        match step {
            Recovery::Reset(cause) => self.causes.push(cause),
            Recovery::Done => self.done += 1,
            Recovery::Reading => {}
        }
    }
}

fn start(version: u32) -> (PlainBoard, Driver) {
    let config = DriverConfig {
        hash_key: HashKey([1, 2]),
        rings: RingConfig {
            receive_entries: 16,
            transmit_entries: 16,
            command_entries: 16,
            event_entries: 16,
            counter_entries: 16,
        },
        ..DriverConfig::default()
    };
    let bytes = Layout::memory_bytes(&config.rings, config.buffer_bytes);
    let mut board = PlainBoard::new(4, &KeyConfig::default(), bytes).of_version(version);
    let policy = policy::by_name("assured").expect("a policy");
    let driver = Driver::start(&mut board, config, policy).expect("it starts");
    (board, driver)
}

/// Ticks as often as the driver wants, with the card doing what it is told, for a second.
fn let_settle(
    board: &mut PlainBoard,
    driver: &mut Driver,
    resets: &mut Resets,
) -> Result<(), DeviceError> {
    let until = board.now + Picos::from_millis(1_000);
    while board.now < until {
        board.now += driver.tick_after();
        driver.tick(board, resets)?;
        while board.execute() {
            board.complete(false);
        }
        let mut switch = driver::TwoPort;
        while driver.poll(board, &mut switch, resets)? == driver::Progress::Worked {}
    }
    Ok(())
}

#[test]
fn a_firmware_that_works_is_confirmed() {
    let (mut board, mut driver) = start(0x0002_0002);
    board.try_firmware(0x0002_0005);
    let mut resets = Resets::default();
    let_settle(&mut board, &mut driver, &mut resets).expect("it goes on");
    assert_eq!(resets.causes, [ResetCause::ByItself]);
    assert_eq!(resets.done, 1);
    board.reset(false);
    let version = driver::Platform::read_register(&mut board, reg::INTERFACE_VERSION);
    assert_eq!(version, 0x0002_0005);
}

#[test]
fn a_firmware_of_another_major_version_is_sent_back() {
    let (mut board, mut driver) = start(0x0002_0002);
    board.try_firmware(0x0003_0000);
    let mut resets = Resets::default();
    let_settle(&mut board, &mut driver, &mut resets).expect("it goes on");
    let causes = [ResetCause::ByItself, ResetCause::FirmwareRefused];
    assert_eq!((&resets.causes[..], resets.done), (&causes[..], 1));
    let version = driver::Platform::read_register(&mut board, reg::INTERFACE_VERSION);
    assert_eq!(version, 0x0002_0002);
}

#[test]
fn a_card_that_has_no_other_firmware_is_given_up() {
    let (mut board, mut driver) = start(0x0002_0002);
    board.try_firmware(0x0003_0000);
    driver::Platform::write_register(&mut board, reg::IMAGE_CONFIRM, 1);
    let mut resets = Resets::default();
    let error = let_settle(&mut board, &mut driver, &mut resets);
    assert_eq!(error, Err(DeviceError::Version { found: 0x0003_0000 }));
}

#[test]
fn what_is_no_image_for_the_card_is_not_sent() {
    let image = |interface_version: u32| {
        let identity = Identity {
            interface_version,
            ..FACTORY
        };
        image::build(&identity, 100)
    };
    let (mut board, mut driver) = start(0x0002_0001);
    let refused = driver.update_firmware(&mut board, image(0x0002_0002));
    assert_eq!(
        refused,
        Err(UpdateError::NotSupported { found: 0x0002_0001 })
    );
    let (mut board, mut driver) = start(0x0002_0002);
    for (bytes, why) in [
        (
            image(0x0003_0000),
            UpdateError::Interface { found: 0x0003_0000 },
        ),
        (
            image(0x0002_0001),
            UpdateError::Interface { found: 0x0002_0001 },
        ),
        (vec![7; 300], UpdateError::Image(ImageError::Header)),
        (Vec::new(), UpdateError::Image(ImageError::Header)),
    ] {
        assert_eq!(driver.update_firmware(&mut board, bytes), Err(why));
        assert!(!driver.is_updating());
    }
    assert_eq!(
        driver.update_firmware(&mut board, image(0x0002_0009)),
        Ok(())
    );
    let again = driver.update_firmware(&mut board, image(0x0002_0009));
    assert_eq!(again, Err(UpdateError::UnderWay));
    driver.tick(&mut board, &mut Blind).expect("it ticks");
    assert_eq!(board.waiting().0, 1, "a part is on its way");
}
