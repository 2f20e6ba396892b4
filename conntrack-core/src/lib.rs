//! conntrack-core
