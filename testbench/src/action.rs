//! What administrators do while traffic flows: scripted in a scenario as `[[action]]`.

use crate::marks::MarkRule;
use crate::scenario::ScenarioError;
use crate::traffic::translated::Network;
use nic_model::clock::Picos;
use nic_model::host::image::{self, FACTORY, HEADER_BYTES, Identity};
use serde::Deserialize;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionKind {
    /// All connections are deleted, as by `conntrack -F`.
    Flush,
    /// Rules change: everything is taken out of hardware, and may go in again.
    TakeOut,
    /// Clients' addresses are translated into another network from now on; connections that had the old one are deleted, as when
    /// a masquerading interface gets another address.
    Nat,
    /// Nothing is offloaded any more, and everything is taken out.
    Stop,
    /// The card gets another firmware.
    UpdateFirmware,
    /// Marks or labels of connections change.
    Mark,
}

/// What is the matter with an image of the firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageQuality {
    /// Nothing.
    #[default]
    Good,
    /// A bit of its body has turned.
    Damaged,
    /// Its firmware never gets to work.
    StandsStill,
    /// Its firmware speaks the next major version of the interface.
    NextInterface,
}

/// An image of the firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirmwareImage {
    /// Its version, as 2.`minor`.
    minor: u16,
    /// Its length.
    #[serde(default = "usual_kib")]
    kib: u32,
    #[serde(default)]
    quality: ImageQuality,
}

const fn usual_kib() -> u32 {
    64
}

/// The longest image, KiB.
const LONGEST_KIB: u32 = 65_536;

impl FirmwareImage {
    /// Its bytes.
    pub fn build(&self) -> Vec<u8> {
        let next = self.quality == ImageQuality::NextInterface;
        let identity = Identity {
            firmware_version: 0x0002_0000 | u32::from(self.minor),
            interface_version: FACTORY.interface_version + (u32::from(next) << 16),
            stands_still: self.quality == ImageQuality::StandsStill,
        };
        let body = (self.kib as usize * 1_024).saturating_sub(HEADER_BYTES);
        let mut image = image::build(&identity, body);
        if self.quality == ImageQuality::Damaged
            && let Some(last) = image.last_mut()
        {
            *last ^= 1;
        }
        image
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionTable {
    kind: ActionKind,
    at_ms: u64,
    #[serde(default)]
    network: Option<String>,
    #[serde(default)]
    image: Option<FirmwareImage>,
    #[serde(default, rename = "match")]
    which: Option<String>,
    #[serde(default)]
    mark: Option<String>,
    #[serde(default)]
    labels: Option<String>,
}

/// One action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// What is done.
    pub kind: ActionKind,
    /// When, after the first frame may arrive.
    pub at: Picos,
    /// The new network, where there is one.
    pub network: Option<Network>,
    /// The new firmware, where there is one.
    pub image: Option<FirmwareImage>,
    /// Which connections get which mark and labels, where any do.
    pub mark: Option<MarkRule>,
}

impl ActionTable {
    /// The action it says.
    ///
    /// # Errors
    /// A network or an image is missing, superfluous, or none.
    pub(crate) fn read(&self) -> Result<Action, ScenarioError> {
        let text = self.network.as_deref();
        let network = text.and_then(Network::parse);
        let is_nat = self.kind == ActionKind::Nat;
        if is_nat != text.is_some() || is_nat != network.is_some() {
            let expected = "kind = \"nat\", and no other, has a network such as 100.64.0.0/10";
            let found = text.unwrap_or("(missing)");
            return Err(ScenarioError::value("network", found, expected));
        }
        let is_update = self.kind == ActionKind::UpdateFirmware;
        let fits = self
            .image
            .is_none_or(|image| (1..=LONGEST_KIB).contains(&image.kib));
        if is_update != self.image.is_some() || !fits {
            let expected = "kind = \"update-firmware\", and no other, has an image such as { minor = 5, kib = 64 }, of 1 to 65536 KiB";
            let found = self
                .image
                .map_or("(missing)".to_owned(), |image| format!("{} KiB", image.kib));
            return Err(ScenarioError::value("image", found, expected));
        }
        let is_mark = self.kind == ActionKind::Mark;
        let says = self.which.is_some() || self.mark.is_some() || self.labels.is_some();
        if is_mark != says || is_mark && self.which.is_none() {
            let expected = "kind = \"mark\", and no other, has a match such as \"tcp/443\", and mark or labels";
            let found = self.which.as_deref().unwrap_or("(missing)");
            return Err(ScenarioError::value("match", found, expected));
        }
        let parse =
            |which: &String| MarkRule::parse(which, self.mark.as_deref(), self.labels.as_deref());
        let mark = self.which.as_ref().map(parse).transpose()?;
        Ok(Action {
            mark,
            kind: self.kind,
            at: Picos::from_millis(self.at_ms),
            network,
            image: self.image,
        })
    }
}

/// The actions that are still to come, soonest last.
#[derive(Debug, Default)]
pub(crate) struct ActionPlan(Vec<Action>);

impl ActionPlan {
    /// Actions at times from `start` on.
    pub(crate) fn new(actions: &[Action], start: Picos) -> Self {
        let shifted = |action: &Action| Action {
            at: Picos(action.at.0.saturating_add(start.0)),
            ..action.clone()
        };
        let mut coming: Vec<Action> = actions.iter().map(shifted).collect();
        coming.sort_by_key(|action| std::cmp::Reverse(action.at));
        Self(coming)
    }

    /// When the next one is due.
    pub(crate) fn next_due(&self) -> Picos {
        self.0.last().map_or(Picos::NEVER, |action| action.at)
    }

    /// The next one.
    pub(crate) fn next(&mut self) -> Option<Action> {
        self.0.pop()
    }
}

/// The networks that clients are translated into, by when they began to be.
pub fn networks(first: Option<Network>, actions: &[Action]) -> Vec<(Picos, Network)> {
    let mut list: Vec<(Picos, Network)> = first
        .map(|first| (Picos::ZERO, first))
        .into_iter()
        .collect();
    list.extend(
        actions
            .iter()
            .filter_map(|action| Some((action.at, action.network?))),
    );
    list.sort_by_key(|(at, _)| *at);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_of_mappings_has_a_network() {
        let read = |text: &str| toml::from_str::<ActionTable>(text).expect(text).read();
        assert!(read("kind = \"flush\"\nat_ms = 3").is_ok());
        assert!(read("kind = \"nat\"\nat_ms = 3\nnetwork = \"100.64.0.0/10\"").is_ok());
        for wrong in [
            "kind = \"nat\"\nat_ms = 3",
            "kind = \"nat\"\nat_ms = 3\nnetwork = \"here\"",
            "kind = \"flush\"\nat_ms = 3\nnetwork = \"100.64.0.0/10\"",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_a_change_of_marks_says_which() {
        let read = |text: &str| toml::from_str::<ActionTable>(text).expect(text).read();
        let right = "kind = \"mark\"\nat_ms = 3\nmatch = \"tcp/80\"\nmark = \"1\"";
        assert!(read(right).is_ok_and(|action| action.mark.is_some()));
        for wrong in [
            "kind = \"mark\"\nat_ms = 3\nmark = \"1\"",
            "kind = \"mark\"\nat_ms = 3\nmatch = \"tcp/80\"",
            "kind = \"mark\"\nat_ms = 3",
            "kind = \"flush\"\nat_ms = 3\nlabels = \"1\"",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_an_update_has_an_image() {
        let read = |text: &str| toml::from_str::<ActionTable>(text).expect(text).read();
        assert!(read("kind = \"update-firmware\"\nat_ms = 3\nimage = { minor = 3 }").is_ok());
        for wrong in [
            "kind = \"update-firmware\"\nat_ms = 3",
            "kind = \"update-firmware\"\nat_ms = 3\nimage = { minor = 3, kib = 0 }",
            "kind = \"flush\"\nat_ms = 3\nimage = { minor = 3 }",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn images_are_as_good_as_they_are_said_to_be() {
        let of = |quality| {
            let image = FirmwareImage {
                minor: 3,
                kib: 2,
                quality,
            }
            .build();
            assert_eq!(image.len(), 2_048);
            image::check(&image)
        };
        let good = of(ImageQuality::Good).expect("it is good");
        assert_eq!(
            (good.firmware_version, good.stands_still),
            (0x0002_0003, false)
        );
        assert!(of(ImageQuality::Damaged).is_err());
        assert_eq!(
            of(ImageQuality::StandsStill).map(|image| image.stands_still),
            Ok(true)
        );
        let next = of(ImageQuality::NextInterface).map(|image| image.interface_version >> 16);
        assert_eq!(next, Ok(3));
    }

    #[test]
    fn they_come_in_order_of_time() {
        let at = |ms| Action {
            kind: ActionKind::Flush,
            at: Picos::from_millis(ms),
            network: None,
            image: None,
            mark: None,
        };
        let mut plan = ActionPlan::new(&[at(7), at(2)], Picos::from_millis(1));
        assert_eq!(plan.next_due(), Picos::from_millis(3));
        assert_eq!(plan.next(), Some(at(3)));
        assert_eq!((plan.next(), plan.next()), (Some(at(8)), None));
    }
}
