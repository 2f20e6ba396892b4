//! Documents that are made from the declarations they describe, so that they cannot say anything else.

pub mod interface;
pub mod timing;
