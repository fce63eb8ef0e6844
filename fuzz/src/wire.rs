//! Bytes that claim to be a partial state.

use bytes::Bytes;
use daysum_core::PartialState;

/// Reads a state. What is accepted is canonical, and refuses to be added to itself unless it is empty.
pub fn wire(data: &[u8]) {
    let Ok(state) = PartialState::decode(Bytes::copy_from_slice(data)) else { return };
    let encoded = state.encode().expect("what was read can be written");
    assert!(encoded == data, "equal states have equal bytes");
    let empty = state.coverage().iter().count() == 0;
    let mut twice = state.clone();
    assert_eq!(twice.merge(state).is_ok(), empty, "no chunk is counted twice");
}
