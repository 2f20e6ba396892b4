//! `ctnic nic`: the cards there are, and what each of their parameters means.

use super::options::{card_text, one_line};
use crate::document::{interface, timing};
use clap::{Args, Subcommand};
use nic_model::config::field::{Field, Value};
use nic_model::config::{NicConfig, PRESETS, RULE_KEYS};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct NicArgs {
    #[command(subcommand)]
    what: What,
}

const EXAMPLES: &str = "Examples:
  ctnic nic list
  ctnic nic show fpga-small > my-card.toml     a card to change
  ctnic nic check my-card.toml
  ctnic nic explain memory.cache_sets
  ctnic nic explain table                      every parameter of the flow table
  ctnic run --nic my-card.toml";

#[derive(Debug, Subcommand)]
enum What {
    /// List the presets
    List,
    /// Print every parameter of a card as TOML that can be changed and used
    Show {
        /// Preset, or file that ends in .toml
        card: String,
        /// Only what differs from the defaults
        #[arg(long)]
        changed: bool,
    },
    /// Check a card's file
    Check {
        /// File
        file: String,
    },
    /// Print the registers, descriptors and codes (docs/hardware-interface.md)
    Interface,
    /// Print what each stage costs, of a card or of all presets (docs/timing-model.md)
    Timing {
        /// Preset, or file that ends in .toml
        card: Option<String>,
    },
    /// Say what a parameter means, its unit, range, default and source
    Explain {
        /// Parameter, such as table.buckets, or the beginning of several
        key: String,
    },
}

pub(super) fn nic(args: &NicArgs) -> Result<bool, String> {
    match &args.what {
        What::List => list()?,
        What::Show { card, changed } => show(card, *changed)?,
        What::Check { file } => {
            let card = read(file)?;
            say!("{file}: valid; {}", card.table);
        }
        What::Interface => say!("{}", interface::document().trim_end()),
        What::Timing { card: None } => {
            let document = timing::document().map_err(|error| error.to_string())?;
            say!("{}", document.trim_end());
        }
        What::Timing { card: Some(card) } => {
            let mut out = String::new();
            timing::card(&mut out, &read(card)?);
            say!("{}", out.trim());
        }
        What::Explain { key } => explain(key)?,
    }
    Ok(true)
}

fn list() -> Result<(), String> {
    for (name, _) in PRESETS {
        let card = NicConfig::preset(name).map_err(|error| error.to_string())?;
        say!("{name:<14} {}", card.description);
    }
    Ok(())
}

fn read(card: &str) -> Result<NicConfig, String> {
    NicConfig::from_toml(&card_text(card)?)
        .map_err(|error| format!("{card}: {}", one_line(&error.to_string())))
}

fn show(name: &str, changed: bool) -> Result<(), String> {
    let card = read(name)?;
    let defaults = NicConfig::default().fields();
    say!("name = {:?}", card.name);
    say!("description = {:?}", card.description);
    let mut section = "";
    for (field, default) in card.fields().into_iter().zip(defaults) {
        if changed && field.value == default.value {
            continue;
        }
        let (prefix, key) = field.key.split_once('.').unwrap_or(("", field.key));
        if prefix != section {
            section = prefix;
            say!("\n[{section}]");
        }
        let setting = format!("{key} = {}", field.value);
        let source = if field.value == default.value {
            format!("; {}", field.source)
        } else {
            String::new()
        };
        say!("{setting:<36} # {}{source}", unit_and_range(&field));
    }
    for rule in &card.classifier.rule {
        let rule = toml::to_string(rule).map_err(|error| error.to_string())?;
        say!("\n[[classifier.rule]]\n{}", rule.trim_end());
    }
    Ok(())
}

fn unit_and_range(field: &Field) -> String {
    match (&field.value, field.unit) {
        (Value::Number(_), "") => field.allowed.to_string(),
        (Value::Number(_), unit) => format!("{unit}, {}", field.allowed),
        _ => field.allowed.to_string(),
    }
}

/// The rules of the classifier are a list, not parameters.
fn explain_rules() {
    say!("classifier.rule");
    say!(
        "  Rules in front of the flow table, [[classifier.rule]] each: the first that matches a packet decides. What a rule does"
    );
    say!("  not mention may be anything.");
    for (key, meaning) in RULE_KEYS {
        say!("  {key:<18}{meaning}");
    }
}

fn explain(key: &str) -> Result<(), String> {
    if key == "classifier" || key.starts_with("classifier.") {
        explain_rules();
        return Ok(());
    }
    let fields = NicConfig::default().fields();
    let exact = fields.iter().any(|field| field.key == key);
    let mut found: Vec<&Field> = fields
        .iter()
        .filter(|field| {
            if exact {
                field.key == key
            } else {
                field.key.starts_with(key)
            }
        })
        .collect();
    if found.is_empty() {
        found = fields
            .iter()
            .filter(|field| field.key.contains(key))
            .collect();
    }
    if found.is_empty() {
        let mut sections: Vec<&str> = fields
            .iter()
            .filter_map(|field| Some(field.key.split_once('.')?.0))
            .collect();
        sections.dedup();
        return Err(format!(
            "there is no parameter \"{key}\"; there are those of {}, classifier",
            sections.join(", ")
        ));
    }
    for field in found {
        say!("{}", field.key);
        say!("  {}", field.meaning);
        say!("  allowed  {}", unit_and_range(field));
        say!("  default  {}", field.value);
        say!("  source   {}", field.source);
    }
    Ok(())
}
