//! From a scenario that fails to a small one that fails in the same way: leave things out as long as it does.

use toml::{Table, Value};

/// The smallest scenario found that `fails` says yes to.
pub fn shrink(scenario: &Table, mut fails: impl FnMut(&Table) -> bool) -> Table {
    let mut best = scenario.clone();
    loop {
        let smaller = candidates(&best)
            .into_iter()
            .find(|candidate| fails(candidate));
        match smaller {
            Some(smaller) => best = smaller,
            None => return best,
        }
    }
}

/// Scenarios with one thing less, those with much less first.
fn candidates(scenario: &Table) -> Vec<Table> {
    let mut list = Vec::new();
    for key in ["fault", "traffic", "action", "mark"] {
        let fewest = usize::from(key == "traffic");
        let entries = scenario.get(key).and_then(Value::as_array);
        let count = entries.map_or(0, Vec::len);
        for left_out in (0..count).filter(|_| count > fewest) {
            list.push(changed(scenario, &[key], |value| {
                if let Value::Array(entries) = value {
                    entries.remove(left_out);
                }
            }));
        }
    }
    for key in ["nat", "sysctl"] {
        list.extend(without(scenario, &[key]));
    }
    for (key, least) in [("packets", 200), ("duration_ms", 50)] {
        let now = scenario.get("stop").and_then(|stop| stop.get(key));
        let now = now.and_then(Value::as_integer).unwrap_or(0);
        for fewer in [now / 4, now * 7 / 8]
            .into_iter()
            .filter(|fewer| *fewer >= least)
        {
            list.push(changed(scenario, &["stop", key], |value| {
                *value = Value::Integer(fewer);
            }));
        }
    }
    let marked = without(scenario, &["driver", "drop_marked"]);
    list.extend(marked.map(|copy| without_rules(&copy)));
    let nic = scenario.get("nic").and_then(Value::as_table);
    for (section, values) in nic.into_iter().flatten() {
        list.extend(without(scenario, &["nic", section]).filter(|_| section != "preset"));
        for key in values.as_table().into_iter().flatten().map(|(key, _)| key) {
            list.extend(without(scenario, &["nic", section, key]));
        }
    }
    // What the driver drops by their marks the card must drop as well, if it can.
    list.retain(|copy| rules(copy) == rules(scenario) || !drops(copy));
    list
}

/// Whether the driver drops packets of marked connections.
fn drops(scenario: &Table) -> bool {
    let driver = scenario.get("driver");
    driver.is_some_and(|driver| driver.get("drop_marked").is_some())
}

/// What the card has of marks, and of rules about them.
fn rules(scenario: &Table) -> [Option<&Value>; 2] {
    let nic = scenario.get("nic");
    let of = |section: &str, key: &str| nic.and_then(|nic| nic.get(section)?.get(key));
    [of("classifier", "rule"), of("table", "marking")]
}

/// The scenario without the card's rules, and with marks in its entries if that is usual.
fn without_rules(scenario: &Table) -> Table {
    let copy = without(scenario, &["nic", "classifier"]).unwrap_or_else(|| scenario.clone());
    without(&copy, &["nic", "table", "marking"]).unwrap_or(copy)
}

/// The scenario with the value at a path changed.
fn changed(scenario: &Table, path: &[&str], change: impl FnOnce(&mut Value)) -> Table {
    let mut copy = scenario.clone();
    let mut at = copy.get_mut(path[0]);
    for key in &path[1..] {
        at = at.and_then(|value| value.get_mut(*key));
    }
    if let Some(value) = at {
        change(value);
    }
    copy
}

/// The scenario without the value at a path, if there is one.
fn without(scenario: &Table, path: &[&str]) -> Option<Table> {
    let mut copy = scenario.clone();
    let (last, parents) = path.split_last()?;
    let mut at = &mut copy;
    for key in parents {
        at = at.get_mut(*key)?.as_table_mut()?;
    }
    at.remove(*last)?;
    Some(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_matters_is_left() {
        let scenario = super::super::draw(3, 11);
        let mut scenario: Table = scenario;
        let faults = ["reset", "hang", "lose-event"].map(|kind| {
            let mut fault = Table::new();
            fault.insert("kind".to_owned(), kind.into());
            Value::Table(fault)
        });
        scenario.insert("fault".to_owned(), faults.to_vec().into());
        let small = shrink(&scenario, |candidate| {
            candidate["fault"].as_array().is_some_and(|faults| {
                faults
                    .iter()
                    .any(|fault| fault["kind"].as_str() == Some("hang"))
            })
        });
        assert_eq!(super::super::case::fault_kinds(&small), ["hang"]);
        assert!(small.get("sysctl").is_none() && small["stop"]["packets"].as_integer() < Some(300));
        assert_eq!(small["nic"].as_table().map(Table::len), Some(1));
    }
}
