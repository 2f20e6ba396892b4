//! The document of what `ctnic validate` finds is what it finds.

use testbench::validate::{Effort, section, validate};

#[test]
fn the_document_is_not_stale() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/validation.md");
    let document = std::fs::read_to_string(path).expect("docs/validation.md");
    // Those that take little time; the others are made by the same code.
    let quick = ["line-rate", "pcie", "iommu", "context-cache", "aging"].map(str::to_owned);
    let effort = Effort {
        quick: false,
        seed: 1,
    };
    for chapter in validate(&quick, &effort, |_| ()).expect("known claims") {
        assert!(chapter.holds(), "{}", chapter.name);
        assert!(
            document.contains(&section(&chapter)),
            "docs/validation.md is stale ({}): run `ctnic validate --out docs`",
            chapter.name
        );
    }
}
